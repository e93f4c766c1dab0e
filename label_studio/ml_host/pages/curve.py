"""The learning curve as a drawing: where each point, line and number goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from label_studio.ml_host.quality.curve import CurvePoint

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
    most = max(point.labels for point in ordered)
    axes = from_nothing(most, min(point.low for point in ordered), max(point.high for point in ordered))

    def mark(point: CurvePoint) -> Mark:
        kind = 'service' if point.version == in_service else 'archived' if point.version in archived else 'other'
        x = axes.x(point.labels)
        low, high = axes.y(point.low), axes.y(point.high)
        return Mark(point.version, kind, x, axes.y(point.score), low, high, anchor(x), _words(point))

    marks = [mark(point) for point in ordered]
    drawn = [item for item in marks if item.kind != 'archived'] or marks
    newest = [list(found)[-1] for _, found in groupby(drawn, key=lambda item: item.x)]
    return Curve(
        marks,
        path((item.x, item.y) for item in newest),
        band([item.x for item in newest], [item.high for item in newest], [item.low for item in newest]),
        axes.across,
        axes.up,
    )


def _words(point: CurvePoint) -> str:
    interval = f'{point.low:.2f}\N{EN DASH}{point.high:.2f}'
    return f'Version {point.version}: {point.score:.2f} ({interval}), {point.labels:,} labels'
