"""Where labels and scores lie in a drawing, and the numbers beside its axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 18, 18, 44
TICKS = 6
# A curve that is flat to the eye when it is flat in fact: no less than this share of the scale is shown.
SMALLEST_SPAN = 0.2
# Where the most labels are so many times the fewest, equal steps of the axis are equal factors.
WIDE = 8


@dataclass(frozen=True)
class Tick:
    """A number beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axes:
    """Labels across, scores up; places are in units of the drawing.

    Attributes:
        first: Labels at the left end.
        last: Labels at the right end.
        floor: Score at the lower end.
        ceiling: Score at the upper end.
        is_wide: Equal steps across are equal factors.
    """

    first: float
    last: float
    floor: float
    ceiling: float
    is_wide: bool = False

    def x(self, labels: float) -> float:
        """Place of a number of labels."""
        part = (labels - self.first) / (self.last - self.first)
        if self.is_wide:
            part = math.log(labels / self.first) / math.log(self.last / self.first)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * part, 1)

    def y(self, score: float) -> float:
        """Place of a score."""
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (score - self.floor) / (self.ceiling - self.floor), 1)

    @property
    def across(self) -> list[Tick]:
        """Numbers of labels."""
        return [Tick(self.x(labels), f'{labels:,}') for labels in self._labels()]

    @property
    def up(self) -> list[Tick]:
        """Scores."""
        return [Tick(self.y(score), f'{score:.1f}') for score in _scores(self.floor, self.ceiling)]

    def _labels(self) -> list[int]:
        if self.is_wide:
            powers = range(int(math.log10(self.first)), int(math.log10(self.last)) + 1)
            round_ones = [factor * 10**power for power in powers for factor in (1, 2, 5)]
            return [labels for labels in round_ones if self.first <= labels <= self.last]
        step = _step(math.ceil(self.last - self.first))
        start = step * math.ceil(self.first / step)
        return list(range(start, math.floor(self.last) + 1, step))


def from_nothing(most: int, low: float, high: float) -> Axes:
    """Axes that begin with no labels."""
    step = _step(max(1, most))
    return Axes(0, step * math.ceil(max(1, most) / step), *_span(low, high))


def between(fewest: int, most: int, low: float, high: float) -> Axes:
    """Axes from the fewest labels that there are to the most."""
    most = max(most, fewest + 1)
    return Axes(fewest, most, *_span(low, high), fewest > 0 and most >= WIDE * fewest)


def anchor(x: float) -> str:
    """Which end of a text stands at a place, so that the text stays inside."""
    third = (WIDTH - LEFT - RIGHT) / 3
    return 'start' if x < LEFT + third else 'end' if x > WIDTH - RIGHT - third else 'middle'


def path(places: Iterable[tuple[float, float]]) -> str:
    """A line through some places."""
    return 'M' + 'L'.join(f'{x:g} {y:g}' for x, y in places)


def band(xs: Sequence[float], highs: Sequence[float], lows: Sequence[float]) -> str:
    """A line around intervals."""
    return path([*zip(xs, highs, strict=True), *zip(reversed(xs), reversed(lows), strict=True)])


def _span(low: float, high: float) -> tuple[float, float]:
    """The part of 0..1 that is shown, in whole tenths."""
    low = math.floor(10 * low + 1e-9) / 10
    high = math.ceil(10 * high - 1e-9) / 10
    high = min(1.0, max(high, low + SMALLEST_SPAN))
    return max(0.0, min(low, high - SMALLEST_SPAN)), high


def _scores(floor: float, ceiling: float) -> list[float]:
    tenths = range(round(10 * floor), round(10 * ceiling) + 1)
    step = 1 if len(tenths) <= TICKS else 2
    return [tenth / 10 for tenth in tenths if (tenths[-1] - tenth) % step == 0]


def _step(most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 ... that leaves few enough numbers on the axis."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if math.ceil(most / (factor * power)) < TICKS:
                return factor * power
        power *= 10
