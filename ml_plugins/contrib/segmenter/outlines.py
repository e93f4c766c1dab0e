"""Masks as regions: brush strokes or polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_plugins.brush_rle import encode_rle
from ml_plugins.label_config import Control
from ml_plugins.types import Region

# Pieces smaller than this share of the largest one get no polygon.
_CRUMB = 0.02


def as_regions(
    control: Control, label: str, mask: np.ndarray, tolerance: float, score: float | None = None
) -> list[Region]:
    """A mask as regions of a BrushLabels or PolygonLabels control; none for an empty mask.

    Args:
        tolerance: How far a polygon may be off, in percent of the picture's longer side.
    """
    if not mask.any():
        return []
    height, width = mask.shape
    size = {'original_width': width, 'original_height': height, 'image_rotation': 0}
    if control.type == 'brushlabels':
        return [control.brush(encode_rle(mask), label, score, **size)]
    return [
        control.polygon(points, label, score, **size)
        for points in _polygons(mask, tolerance / 100 * max(height, width))
    ]


def _polygons(mask: np.ndarray, tolerance: float) -> list[list[list[float]]]:
    """Outlines of the mask's pieces in percent, the largest first; Label Studio's polygons have no holes."""
    import cv2

    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = sorted(outlines, key=cv2.contourArea, reverse=True)
    least = _CRUMB * cv2.contourArea(outlines[0])
    found = [_polygon(outline, mask.shape, tolerance) for outline in outlines if cv2.contourArea(outline) >= least]
    return [points for points in found if len(points) > 2]


def _polygon(outline: np.ndarray, shape: Sequence[int], tolerance: float) -> list[list[float]]:
    import cv2

    corners = cv2.approxPolyDP(outline, tolerance, closed=True)[:, 0]
    # The outline goes through the middles of pixels.
    percent = (corners + 0.5) / (shape[1], shape[0]) * 100
    return [[round(float(x), 3), round(float(y), 3)] for x, y in percent]
