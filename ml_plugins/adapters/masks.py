"""Masks of pixels in the format that Label Studio's brush keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_plugins.adapters.plain_numbers import array
from ml_plugins.exceptions import PredictionError

# The header says how many bits a run's length takes; each run picks one of the four.
_LENGTH_BITS = np.array([3, 4, 8, 16])
_VALUE_BITS = 8
_LONGEST = 2**16
# A pixel is four values: red, green, blue and how opaque it is.
_CHANNELS = 4


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


def encode(mask: np.ndarray) -> list[int]:
    """A mask of truth values as the bytes of Label Studio's run-length format.

    A header says how many values there are and how wide the fields are; then each run of equal values has a bit that
    says that it is one, which width its length has, its length less one, and the value.
    """
    flat = np.asarray(mask, dtype=bool).ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(np.concatenate((starts, [len(flat)]))) * _CHANNELS
    values = np.where(flat[starts], 255, 0)
    pieces = -(-lengths // _LONGEST)
    values, last = np.repeat(values, pieces), np.cumsum(pieces) - 1
    rest = lengths - (pieces - 1) * _LONGEST
    lengths = np.full(len(values), _LONGEST)
    lengths[last] = rest
    width = np.searchsorted(2**_LENGTH_BITS, lengths)
    bits = _LENGTH_BITS[width]
    codes = (((0b100 | width) << bits) | (lengths - 1)) << _VALUE_BITS | values
    sizes = 3 + bits + _VALUE_BITS
    header = [(flat.size * _CHANNELS, 32), (_VALUE_BITS - 1, 5), *((int(bit) - 1, 4) for bit in _LENGTH_BITS)]
    codes = np.concatenate(([code for code, _ in header], codes)).astype(np.int64)
    sizes = np.concatenate(([size for _, size in header], sizes)).astype(np.int64)
    return np.packbits(_bits(codes, sizes)).tolist()


def _bits(codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The lowest bits of each code, as many as its size says, highest first, one after the other."""
    ends = np.cumsum(sizes)
    shifts = np.repeat(ends, sizes) - 1 - np.arange(ends[-1])
    return ((np.repeat(codes, sizes) >> shifts) & 1).astype(np.uint8)


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)) > 0
