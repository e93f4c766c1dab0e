"""Learning curves of several ways to choose tasks as one drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.pages.curve import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Tick,
    label_ticks,
    path_of,
    score_ticks,
    span_of,
)

# Where the most labels are so many times the fewest, equal steps of the axis are equal factors.
WIDE = 8


@dataclass(frozen=True)
class Place:
    """One point of a curve; `words` are read when a person points at it."""

    x: float
    y: float
    low: float
    high: float
    anchor: str
    words: str


@dataclass(frozen=True)
class ArmCurve:
    """One curve.

    Attributes:
        kind: Class of its colours.
        band: Path around its intervals.
    """

    kind: str
    title: str
    places: Sequence[Place]
    line: str
    band: str


@dataclass(frozen=True)
class ArmsChart:
    """Everything that the template draws."""

    arms: Sequence[ArmCurve]
    across: Sequence[Tick]
    up: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM

    @property
    def middle(self) -> float:
        """Where the name of the lower axis stands."""
        return (self.left + self.right) / 2

    @property
    def words(self) -> str:
        """The drawing for somebody who does not see it: where each curve ends."""
        return '; '.join(f'{arm.title}: {arm.places[-1].words}' for arm in self.arms)


def chart_of(arms: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]]) -> ArmsChart | None:
    """Lay out curves; None where one of them has no points.

    Args:
        arms: Title and points (labels, accuracy, low, high) by kind; the last one is drawn on top.
    """
    every = [point for _, points in arms.values() for point in points]
    if not every or not all(points for _, points in arms.values()):
        return None
    axes = _axes_of(every)

    def place(point: Mapping[str, Any]) -> Place:
        x = axes.x(point['labels'])
        interval = f'{point["low"]:.2f}\N{EN DASH}{point["high"]:.2f}'
        words = f'{point["accuracy"]:.2f} ({interval}) with {point["labels"]:,} labels'
        side = 'start' if x < WIDTH / 2 else 'end'
        return Place(x, axes.y(point['accuracy']), axes.y(point['low']), axes.y(point['high']), side, words)

    def curve(kind: str, title: str, points: Sequence[Mapping[str, Any]]) -> ArmCurve:
        found = [place(point) for point in points]
        around = [*((item.x, item.high) for item in found), *((item.x, item.low) for item in reversed(found))]
        return ArmCurve(kind, title, found, path_of((item.x, item.y) for item in found), path_of(around))

    return ArmsChart(
        [curve(kind, *arm) for kind, arm in arms.items()],
        [Tick(axes.x(labels), f'{labels:,}') for labels in axes.labels()],
        [Tick(axes.y(score), f'{score:.1f}') for score in score_ticks(axes.floor, axes.ceiling)],
    )


@dataclass(frozen=True)
class _Axes:
    """From the fewest labels that there are to the most; scores between two whole tenths."""

    first: int
    last: int
    floor: float
    ceiling: float

    @property
    def is_wide(self) -> bool:
        return 0 < WIDE * self.first <= self.last

    def x(self, labels: float) -> float:
        part = (labels - self.first) / (self.last - self.first)
        if self.is_wide:
            part = math.log(labels / self.first) / math.log(self.last / self.first)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * part, 1)

    def y(self, score: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (score - self.floor) / (self.ceiling - self.floor), 1)

    def labels(self) -> list[int]:
        if self.is_wide:
            powers = range(int(math.log10(self.first)), int(math.log10(self.last)) + 1)
            round_ones = [factor * 10**power for power in powers for factor in (1, 2, 5)]
            return [labels for labels in round_ones if self.first <= labels <= self.last]
        step = label_ticks(self.last - self.first)[1]
        return list(range(step * math.ceil(self.first / step), self.last + 1, step))


def _axes_of(points: Sequence[Mapping[str, Any]]) -> _Axes:
    counts = [point['labels'] for point in points]
    first, last = min(counts), max(counts)
    span = span_of(min(point['low'] for point in points), max(point['high'] for point in points))
    return _Axes(first, max(last, first + 1), *span)
