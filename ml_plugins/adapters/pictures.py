"""Pictures as the arrays that networks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


def to_array(
    picture: Image,
    size: tuple[int, int] | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    channels_first: bool = True,
) -> np.ndarray:
    """A picture as numbers in 0..1, less the mean and divided by the deviation of each channel where they are given.

    Args:
        size: Width and height to scale it to; None leaves it.

    Returns:
        Of type float32 and shape (3, height, width), or (height, width, 3).
    """
    if size is not None and picture.size != tuple(size):
        picture = picture.resize(size)
    pixels = np.asarray(picture, dtype=np.float32) / 255
    if mean:
        pixels = pixels - np.asarray(mean, dtype=np.float32)
    if std:
        pixels = pixels / np.asarray(std, dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if channels_first else pixels
