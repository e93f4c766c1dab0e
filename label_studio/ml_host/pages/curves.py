"""Learning curves of several ways to choose tasks as one drawing, each with the interval around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    round_up,
    score_ticks,
    span_of,
)

# Where the most labels are so many times the fewest, equal steps of the axis are equal factors.
WIDE = 8


@dataclass(frozen=True)
class Point:
    """A score that was measured with so many labels, with its interval."""

    labels: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """One curve that is to be drawn.

    Attributes:
        look: Which colours it has: a number, or the name of a class of its own.
        has_interval: Whether the points' intervals are any; one repetition has none.
    """

    name: str
    title: str
    points: Sequence[Point]
    look: str
    has_interval: bool = True


@dataclass(frozen=True)
class Place:
    """Where a point goes; `words` are read when somebody points at it."""

    x: float
    y: float
    low: float
    high: float
    anchor: str
    words: str


@dataclass(frozen=True)
class Line:
    """One curve of the drawing.

    Attributes:
        path: Through its points.
        band: Around its intervals; empty where it has none.
    """

    name: str
    title: str
    look: str
    places: Sequence[Place]
    path: str
    band: str


@dataclass(frozen=True)
class Chart:
    """Everything that the template draws; places are in units of the drawing. The first line is drawn on top."""

    lines: Sequence[Line]
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
        return '; '.join(line.places[-1].words for line in self.lines)


def chart_of(given: Sequence[Series], from_zero: bool = False) -> Chart | None:
    """Lay out curves; None where there is none, or one without points.

    Args:
        given: The most important one first.
        from_zero: Whether the axis of labels begins at none instead of at the fewest.
    """
    if not given or not all(series.points for series in given):
        return None
    axes = _axes_of([point for series in given for point in series.points], from_zero)
    return Chart(
        [_line(series, axes) for series in given],
        [Tick(axes.x(labels), f'{labels:,}') for labels in axes.labels()],
        [Tick(axes.y(score), f'{score:.1f}') for score in score_ticks(axes.floor, axes.ceiling)],
    )


@dataclass(frozen=True)
class _Axes:
    """From the fewest labels to the most; scores between two whole tenths."""

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


def _axes_of(points: Sequence[Point], from_zero: bool) -> _Axes:
    first, last = min(point.labels for point in points), max(point.labels for point in points)
    first, last = (0, round_up(last)) if from_zero else (first, max(last, first + 1))
    return _Axes(first, last, *span_of(min(point.low for point in points), max(point.high for point in points)))


def _line(series: Series, axes: _Axes) -> Line:
    places = [_place(series.title, point, axes) for point in series.points]
    around = [*((place.x, place.high) for place in places), *((place.x, place.low) for place in reversed(places))]
    band = path_of(around) if series.has_interval else ''
    path = path_of((place.x, place.y) for place in places)
    return Line(series.name, series.title, series.look, places, path, band)


def _place(title: str, point: Point, axes: _Axes) -> Place:
    x = axes.x(point.labels)
    interval = f'{point.low:.2f}\N{EN DASH}{point.high:.2f}'
    words = f'{title}: {point.score:.3f} ({interval}) with {point.labels:,} labels'
    side = 'start' if x < WIDTH / 2 else 'end'
    return Place(x, axes.y(point.score), axes.y(point.low), axes.y(point.high), side, words)
