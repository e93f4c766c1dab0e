"""Where a region lies, and by how much two regions overlap: spans of texts and times, boxes, ellipses and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Outlines that are no upright boxes are compared on a grid of so many points a side. The finer one is for slender
# shapes, of which the other grid meets few points.
_GRIDS = (96, 512)
_ENOUGH = 300
_CORNERS = 48
_XPATH = ('start', 'startOffset', 'end', 'endOffset')


@dataclass(frozen=True)
class Shape:
    """A place.

    Attributes:
        within: What both must have in common to overlap at all, e.g. the paragraph.
        low: Lowest coordinates: one of a span, two of an area.
        high: Highest coordinates.
        outline: Corners of an area, of shape (n, 2); None for spans and upright boxes.
        point: It has no extent: close ones are the same.
    """

    within: str
    low: np.ndarray
    high: np.ndarray
    outline: np.ndarray | None = None
    point: bool = False


def shape_of(region: Mapping[str, Any]) -> Shape | None:
    """The place of a region in Label Studio's format; None for an answer about the whole task, and for masks."""
    value = region.get('value')
    if not isinstance(value, Mapping):
        return None
    try:
        for read in (_points, _ellipse, _box, _keypoint, _ranges, _span):
            if (shape := read(value, region)) is not None:
                return shape
    except (TypeError, ValueError, KeyError, IndexError):
        # Values that no editor writes; such a region compares by its content.
        pass
    return None


def overlap(one: Shape | None, other: Shape | None) -> float:
    """Shared part of what both cover together, 0..1; two regions without a place count as one place."""
    if one is None or other is None:
        return 1.0 if one is other else 0.0
    if one.within != other.within or one.low.shape != other.low.shape:
        return 0.0
    if one.point or other.point:
        return _closeness(one, other)
    shared = np.minimum(one.high, other.high) - np.maximum(one.low, other.low)
    if (shared < 0).any():
        return 0.0
    if one.outline is not None or other.outline is not None:
        return _overlap_on_grid(one, other)
    return _overlap_of_bounds(one, other)


def _overlap_of_bounds(one: Shape, other: Shape) -> float:
    sizes = [float(np.prod(shape.high - shape.low)) for shape in (one, other)]
    both = float(np.prod(np.minimum(one.high, other.high) - np.maximum(one.low, other.low)))
    together = sum(sizes) - both
    # A span of no length is the same as another at its place.
    return both / together if together > 0 else float((one.low == other.low).all())


def _closeness(one: Shape, other: Shape) -> float:
    """1 for the same point, 0.5 at a distance of 2.5 % of the picture."""
    if not (one.point and other.point):
        return 0.0
    distance = float(np.linalg.norm(one.low - other.low))
    return max(0.0, 1.0 - distance / 5.0)


def _overlap_on_grid(one: Shape, other: Shape) -> float:
    if one.outline is not None and other.outline is not None and np.array_equal(one.outline, other.outline):
        return 1.0
    for size in _GRIDS:
        shared, together = _points_in(one, other, size)
        if together >= _ENOUGH:
            break
    # Next to a line there is nothing but where it begins and ends.
    return shared / together if together else _overlap_of_bounds(one, other)


def _points_in(one: Shape, other: Shape, size: int) -> tuple[int, int]:
    """Points of a grid in both shapes, and in either."""
    low, high = np.minimum(one.low, other.low), np.maximum(one.high, other.high)
    steps = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(*(low[axis] + steps * (high[axis] - low[axis]) for axis in (0, 1)))
    first, second = _covers(one, x, y), _covers(other, x, y)
    return int((first & second).sum()), int((first | second).sum())


def _covers(shape: Shape, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if shape.outline is None:
        return (x >= shape.low[0]) & (x <= shape.high[0]) & (y >= shape.low[1]) & (y <= shape.high[1])
    inside = np.zeros(x.shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(shape.outline, np.roll(shape.outline, -1, axis=0), strict=True):
        if y1 != y2:
            # A line to the right of a point crosses the outline of an area around it an odd number of times.
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def _numbers(value: Mapping[str, Any], *names: str) -> list[float] | None:
    found = [value.get(name) for name in names]
    if any(isinstance(item, bool) or not isinstance(item, (int, float)) or not np.isfinite(item) for item in found):
        return None
    return [float(item) for item in found]


def _area(outline: np.ndarray) -> Shape:
    return Shape('', outline.min(axis=0), outline.max(axis=0), outline)


def _interval(within: str, start: float, end: float) -> Shape:
    low, high = sorted((start, end))
    return Shape(within, np.array([low]), np.array([high]))


def _points(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    if 'points' not in value:
        return None
    points = np.array(value['points'], dtype=float)
    return _area(points) if points.ndim == 2 and points.shape[1] == 2 and len(points) > 2 else None


def _ellipse(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    if (found := _numbers(value, 'x', 'y', 'radiusX', 'radiusY')) is None:
        return None
    x, y, wide, high = found
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    outline = np.stack([x + wide * np.cos(angles), y + high * np.sin(angles)], axis=1)
    return _area(_turned(outline, (x, y), value, region))


def _box(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    if (found := _numbers(value, 'x', 'y', 'width', 'height')) is None:
        return None
    x, y, width, height = found
    if not value.get('rotation'):
        return Shape('', np.array([x, y]), np.array([x + width, y + height]))
    outline = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    # Label Studio turns a box around its upper left corner.
    return _area(_turned(outline, (x, y), value, region))


def _turned(
    outline: np.ndarray, center: tuple[float, float], value: Mapping[str, Any], region: Mapping[str, Any]
) -> np.ndarray:
    """The outline turned by the region's rotation; percent of width and of height differ in length."""
    angle = np.deg2rad(float(value.get('rotation') or 0))
    sides = _numbers(region, 'original_width', 'original_height')
    scale = np.array(sides if sides and min(sides) > 0 else [1.0, 1.0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((outline - center) * scale) @ turn / scale + center


def _keypoint(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    if (found := _numbers(value, 'x', 'y')) is None:
        return None
    return Shape('', np.array(found), np.array(found), point=True)


def _ranges(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    """Frames of a video; the editor writes one range a region."""
    ranges = value.get('ranges')
    if not isinstance(ranges, Sequence) or len(ranges) != 1 or not isinstance(ranges[0], Mapping):
        return None
    found = _numbers(ranges[0], 'start', 'end')
    return _interval('frames', *found) if found else None


def _span(value: Mapping[str, Any], region: Mapping[str, Any]) -> Shape | None:
    """A piece of a text, of a document by its offsets, of a dialogue, or of time."""
    if isinstance(value.get('globalOffsets'), Mapping):
        found = _numbers(value['globalOffsets'], 'start', 'end')
        return _interval('document', *found) if found else None
    if (found := _numbers(value, 'start', 'end')) is not None:
        return _interval(f'channel {value["channel"]}' if 'channel' in value else '', *found)
    if any(name not in value for name in _XPATH):
        return None
    offsets = _numbers(value, 'startOffset', 'endOffset')
    if offsets is not None and value['start'] == value['end']:
        return _interval(str(value['start']), *offsets)
    # From one element into another one: only the very same span is the same.
    return _interval(repr([value[name] for name in _XPATH]), 0.0, 1.0)
