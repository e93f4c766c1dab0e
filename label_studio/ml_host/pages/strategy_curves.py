"""The curves of a replay as a drawing: one line a strategy, with the interval around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.pages.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Tick,
    anchor,
    band,
    from_nothing,
    path,
)

# So many lines can be told apart; the worst of more are in the table only.
COLOURS = 8


@dataclass(frozen=True)
class Spot:
    """One point of a line, with what is read when somebody points at it."""

    x: float
    y: float
    anchor: str
    words: str


@dataclass(frozen=True)
class Line:
    """One strategy.

    Attributes:
        colour: Number of its colour; the same in the table.
        band: Path around its interval; empty with one repetition, which has none.
    """

    name: str
    title: str
    colour: int
    path: str
    band: str
    spots: Sequence[Spot]


@dataclass(frozen=True)
class StrategyCurves:
    """Everything that the template draws; places are in units of the drawing."""

    lines: Sequence[Line]
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
    def words(self) -> str:
        """The drawing for somebody who does not see it."""
        return '; '.join(line.spots[-1].words for line in self.lines)


def curves_of(found: Sequence[Mapping[str, Any]]) -> StrategyCurves | None:
    """Lay out the curves of a replay's result, the best first; None before the first."""
    shown = found[:COLOURS]
    if not shown:
        return None
    points = [point for curve in shown for point in curve['points']]
    axes = from_nothing(
        max(point[0] for point in points), min(point[2] for point in points), max(point[3] for point in points)
    )

    def line(colour: int, curve: Mapping[str, Any]) -> Line:
        xs = [axes.x(labels) for labels, *_ in curve['points']]
        means, lows, highs = ([axes.y(point[column]) for point in curve['points']] for column in (1, 2, 3))
        spots = [
            Spot(x, y, anchor(x), _words(curve['title'], point))
            for x, y, point in zip(xs, means, curve['points'], strict=True)
        ]
        around = band(xs, highs, lows) if curve['repetitions'] > 1 else ''
        drawn = path(zip(xs, means, strict=True))
        return Line(curve['name'], curve['title'], colour, drawn, around, spots)

    return StrategyCurves([line(number, curve) for number, curve in enumerate(shown)], axes.across, axes.up)


def _words(title: str, point: Sequence[float]) -> str:
    labels, mean, low, high = point
    return f'{title}: {mean:.3f} ({low:.2f}\N{EN DASH}{high:.2f}) with {labels:,} labels'
