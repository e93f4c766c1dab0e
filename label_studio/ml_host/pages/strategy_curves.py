"""The curves of a replay as a drawing: one line a strategy, with the interval around it."""

from __future__ import annotations

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
    round_up,
    score_ticks,
    span_of,
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
    most = round_up(max(point[0] for point in points))
    floor, ceiling = span_of(min(point[2] for point in points), max(point[3] for point in points))

    def across(labels: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * labels / most, 1)

    def up(score: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (score - floor) / (ceiling - floor), 1)

    def line(colour: int, curve: Mapping[str, Any]) -> Line:
        places = [(across(labels), up(mean), up(low), up(high)) for labels, mean, low, high in curve['points']]
        around = [*((x, high) for x, _, _, high in places), *((x, low) for x, _, low, _ in reversed(places))]
        spots = [
            Spot(x, y, 'start' if x < WIDTH / 2 else 'end', _words(curve['title'], point))
            for (x, y, _, _), point in zip(places, curve['points'], strict=True)
        ]
        band = path_of(around) if curve['repetitions'] > 1 else ''
        return Line(curve['name'], curve['title'], colour, path_of((x, y) for x, y, _, _ in places), band, spots)

    return StrategyCurves(
        [line(number, curve) for number, curve in enumerate(shown)],
        [Tick(across(labels), f'{labels:,}') for labels in label_ticks(most)],
        [Tick(up(score), f'{score:.1f}') for score in score_ticks(floor, ceiling)],
    )


def _words(title: str, point: Sequence[float]) -> str:
    labels, mean, low, high = point
    return f'{title}: {mean:.3f} ({low:.2f}\N{EN DASH}{high:.2f}) with {labels:,} labels'
