"""The learning curve as a drawing: where each point, line and number goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from label_studio.ml_host.quality.curve import CurvePoint

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 18, 18, 44
TICKS = 6
# A curve that is flat to the eye when it is flat in fact: no less than this share of the scale is shown.
SMALLEST_SPAN = 0.2
_KINDS = {'service': 'in service', 'other': 'not in service', 'archived': 'archived'}


@dataclass(frozen=True)
class Mark:
    """One version in the drawing.

    Attributes:
        number: Number of the version.
        kind: ``service``, ``archived`` or ``other``.
        anchor: Which end of its text stands at it, so that the text stays inside.
        words: What is read when a person points at it.
    """

    number: int
    kind: str
    x: float
    y: float
    low: float
    high: float
    anchor: str
    words: str


@dataclass(frozen=True)
class Tick:
    """A number beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Curve:
    """Everything that the template draws; places are in units of the drawing.

    Attributes:
        line: Path through the newest version of each number of labels, past archived ones; so is the band.
        band: Path around the intervals of those.
    """

    marks: Sequence[Mark]
    line: str
    band: str
    across: Sequence[Tick]
    up: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    @property
    def middle(self) -> float:
        """Where the name of the lower axis stands."""
        return (self.left + self.right) / 2

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The kinds of marks that are there, with what they mean."""
        found = {mark.kind for mark in self.marks}
        return [(kind, words) for kind, words in _KINDS.items() if kind in found]

    @property
    def words(self) -> str:
        """The drawing for somebody who does not see it."""
        return '; '.join(mark.words for mark in self.marks)


def curve_of(
    points: Sequence[CurvePoint], in_service: int | None = None, archived: frozenset[int] = frozenset()
) -> Curve:
    """Lay out a learning curve.

    Args:
        points: Versions with a score, in any order; at least one.
        in_service: Number of the version in service.
        archived: Numbers of the archived ones.
    """
    ordered = sorted(points, key=lambda point: (point.labels, point.version))
    most = round_up(max(point.labels for point in ordered))
    floor, ceiling = _span(ordered)

    def across(labels: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * labels / most, 1)

    def up(score: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (score - floor) / (ceiling - floor), 1)

    def mark(point: CurvePoint) -> Mark:
        kind = 'service' if point.version == in_service else 'archived' if point.version in archived else 'other'
        x = across(point.labels)
        return Mark(point.version, kind, x, up(point.score), up(point.low), up(point.high), _anchor(x), _words(point))

    marks = [mark(point) for point in ordered]
    drawn = [item for item in marks if item.kind != 'archived'] or marks
    newest = [list(found)[-1] for _, found in groupby(drawn, key=lambda item: item.x)]
    return Curve(
        marks,
        path_of((item.x, item.y) for item in newest),
        path_of([*((item.x, item.high) for item in newest), *((item.x, item.low) for item in reversed(newest))]),
        [Tick(across(labels), f'{labels:,}') for labels in label_ticks(most)],
        [Tick(up(score), f'{score:.1f}') for score in score_ticks(floor, ceiling)],
    )


def _words(point: CurvePoint) -> str:
    interval = f'{point.low:.2f}\N{EN DASH}{point.high:.2f}'
    return f'Version {point.version}: {point.score:.2f} ({interval}), {point.labels:,} labels'


def _anchor(x: float) -> str:
    third = (WIDTH - LEFT - RIGHT) / 3
    return 'start' if x < LEFT + third else 'end' if x > WIDTH - RIGHT - third else 'middle'


def path_of(places: Iterable[tuple[float, float]]) -> str:
    """A path through places."""
    return 'M' + 'L'.join(f'{x:g} {y:g}' for x, y in places)


def _span(points: Sequence[CurvePoint]) -> tuple[float, float]:
    return span_of(min(point.low for point in points), max(point.high for point in points))


def span_of(lowest: float, highest: float) -> tuple[float, float]:
    """The part of 0..1 that is shown, in whole tenths."""
    low = math.floor(10 * lowest + 1e-9) / 10
    high = math.ceil(10 * highest - 1e-9) / 10
    high = min(1.0, max(high, low + SMALLEST_SPAN))
    return max(0.0, min(low, high - SMALLEST_SPAN)), high


def score_ticks(floor: float, ceiling: float) -> list[float]:
    """Numbers beside the axis of scores."""
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


def round_up(most: int) -> int:
    """Where the axis of labels ends."""
    step = _step(max(1, most))
    return step * math.ceil(max(1, most) / step)


def label_ticks(most: int) -> list[int]:
    """Numbers below the axis of labels."""
    return list(range(0, most + 1, _step(most)))
