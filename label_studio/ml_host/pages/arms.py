"""Learning curves of several ways to choose tasks as one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio.ml_host.pages.axes import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Tick, anchor, band, between, path


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
    counts = [point['labels'] for point in every]
    lows, highs = [point['low'] for point in every], [point['high'] for point in every]
    axes = between(min(counts), max(counts), min(lows), max(highs))

    def place(point: Mapping[str, Any]) -> Place:
        x = axes.x(point['labels'])
        interval = f'{point["low"]:.2f}\N{EN DASH}{point["high"]:.2f}'
        words = f'{point["accuracy"]:.2f} ({interval}) with {point["labels"]:,} labels'
        return Place(x, axes.y(point['accuracy']), axes.y(point['low']), axes.y(point['high']), anchor(x), words)

    def curve(kind: str, title: str, points: Sequence[Mapping[str, Any]]) -> ArmCurve:
        found = [place(point) for point in points]
        around = band([item.x for item in found], [item.high for item in found], [item.low for item in found])
        return ArmCurve(kind, title, found, path((item.x, item.y) for item in found), around)

    return ArmsChart([curve(kind, *arm) for kind, arm in arms.items()], axes.across, axes.up)
