"""Masks of pixels, as models give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_plugins.adapters.plain_numbers import array
from ml_plugins.exceptions import PredictionError


def to_mask(value: Any, size: tuple[int, int], what: str) -> np.ndarray:
    """A mask of truth values of the picture's size.

    Args:
        value: See `ml_plugins.adapters.Mask`.
        size: The picture's width and height.
        what: Whose mask it is, for messages.

    Raises:
        PredictionError: It is no mask.
    """
    found = plane(value)
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in 'biuf':
        raise PredictionError(f'{what} is {found.dtype} of shape {found.shape}; a mask has shape (height, width)')
    if found.dtype.kind == 'f':
        if not np.isfinite(found).all():
            raise PredictionError(f'{what} has values that are not finite')
        found = found >= 0.5
    else:
        found = found != 0
    return found if found.shape == (size[1], size[0]) else _scaled(found, size)


def plane(value: Any) -> np.ndarray:
    """An array without the axes of length 1 that models put around a mask."""
    found = array(value)
    while found.ndim > 2 and 1 in (found.shape[0], found.shape[-1]):
        found = found[0] if found.shape[0] == 1 else found[..., 0]
    return found


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)) > 0
