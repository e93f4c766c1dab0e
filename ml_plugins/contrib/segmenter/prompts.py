"""What an annotator drew with smart tools, as points and areas of the picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.geometry import Shape, shape_of

_CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


class OutsideError(ValueError):
    """Nothing of what was drawn lies in the picture."""


@dataclass(frozen=True)
class Prompt:
    """Points and areas in pixels of one picture.

    Attributes:
        areas: Outlines of boxes, ellipses and polygons, each of shape (n, 2), cut off at the picture's sides.
        positive: Clicks on the object, of shape (n, 2).
        negative: Clicks beside it, of shape (n, 2).
    """

    areas: Sequence[np.ndarray]
    positive: np.ndarray
    negative: np.ndarray

    def bounds(self) -> np.ndarray | None:
        """Left, top, right and bottom of all areas together; None without an area."""
        if not self.areas:
            return None
        corners = np.concatenate(list(self.areas))
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def read_prompt(regions: Iterable[Mapping[str, Any]], width: int, height: int) -> Prompt | None:
    """The prompt for a picture of this size.

    Args:
        regions: What was drawn, in Label Studio's format. A key point with ``is_positive`` false is a click beside the
            object; regions without a place, such as brush strokes, are left out.

    Returns:
        None when nothing points at an object.

    Raises:
        OutsideError: What points at it lies beside the picture.
    """
    areas, positive, negative, outside = [], [], [], None
    for region in regions:
        shape = shape_of(region)
        if shape is None or len(shape.low) != 2:
            continue
        if shape.point:
            (negative if region.get('is_positive') is False else positive).append(_pixel(shape.low, width, height))
        elif (area := _area(shape, width, height)) is not None:
            areas.append(area)
        else:
            outside = shape
    if areas or positive:
        return Prompt(areas, _points(positive), _points(negative))
    if outside is not None:
        place = ', '.join(f'{number:g}' for number in (*outside.low, *outside.high))
        raise OutsideError(f'the box lies beside the picture: from {place} percent')
    return None


def label_of(regions: Iterable[Mapping[str, Any]]) -> str:
    """The label that the annotator had selected; empty for tools without labels."""
    for region in reversed(list(regions)):
        value = region.get('value')
        if not isinstance(value, Mapping):
            continue
        for key in (region.get('type', ''), 'labels'):
            labels = value.get(key)
            if isinstance(labels, (list, tuple)) and labels and isinstance(labels[0], str):
                return labels[0]
    return ''


def _pixel(place: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixel under a place in percent; a click on the border is one on the last pixel."""
    size = np.array([width, height])
    return np.clip(np.floor(place / 100 * size), 0, size - 1)


def _area(shape: Shape, width: int, height: int) -> np.ndarray | None:
    size = np.array([width, height], float)
    outline = shape.outline
    if outline is None:
        outline = shape.low + np.array(_CORNERS) * (shape.high - shape.low)
    outline = np.clip(outline / 100 * size, 0, size)
    if (outline.max(axis=0) - outline.min(axis=0) < 1).any():
        return None
    return outline


def _points(points: Sequence[np.ndarray]) -> np.ndarray:
    return np.array(points, float).reshape(-1, 2)
