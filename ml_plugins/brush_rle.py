"""Masks as Label Studio's brush regions hold them: run lengths of RGBA pixels, packed into bits.

The format is that of thi.ng's rle-pack. A header gives the number of values (32 bits), the bits of a value (5, less
one) and of four kinds of lengths (4 each, less one). Then come runs: one bit says whether a single value is repeated,
two bits name the kind of length, then the length less one, then the value or the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ml_plugins.exceptions import PredictionError

_CHANNELS = 4
_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_LONGEST = 1 << _LENGTH_BITS[-1]
_HEADER_BITS = 53


def encode_rle(mask: np.ndarray) -> list[int]:
    """A mask as the ``rle`` of a brush region.

    Args:
        mask: Of shape (height, width); what is not zero is covered.

    Raises:
        PredictionError: It is not such an array.
    """
    if mask.ndim != 2 or not mask.size:
        raise PredictionError(f'a mask has shape (height, width) and at least one pixel, not {mask.shape}')
    flat = (np.asarray(mask) != 0).ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = np.diff(np.append(starts, flat.size)) * _CHANNELS
    values = flat[starts].astype(np.int64) * 255
    lengths, values = _split(lengths, values)
    kinds = np.searchsorted([1 << bits for bits in _LENGTH_BITS], lengths)
    sizes = np.array(_LENGTH_BITS)[kinds]
    # 1, kind, length less one, value.
    codes = ((((0b100 | kinds) << sizes) | (lengths - 1)) << _VALUE_BITS) | values
    header = flat.size * _CHANNELS
    for bits, number in ((5, _VALUE_BITS - 1), *((4, size - 1) for size in _LENGTH_BITS)):
        header = header << bits | number
    bits = np.concatenate([_bits([header], [_HEADER_BITS]), _bits(codes, 3 + sizes + _VALUE_BITS)])
    return np.packbits(bits).tolist()


def decode_rle(rle: Sequence[int], width: int, height: int) -> np.ndarray:
    """The mask of a brush region: booleans of shape (height, width).

    Args:
        rle: The region's ``value["rle"]``.
        width: Its ``original_width``.
        height: Its ``original_height``.

    Raises:
        PredictionError: The numbers are not such a mask, or one of another size.
    """
    try:
        reader = _Reader(bytes(rle))
        count, value_bits = reader.number(32), reader.number(5) + 1
        length_bits = [reader.number(4) + 1 for _ in range(4)]
        if count != width * height * _CHANNELS:
            raise PredictionError(f'the brush mask has {count} values; {width}x{height} pixels have four times as many')
        values = np.zeros(count, np.uint32)
        place = 0
        while place < count:
            repeated, kind = reader.number(1), reader.number(2)
            end = place + reader.number(length_bits[kind]) + 1
            if end > count:
                raise ValueError('a run goes on behind the end')
            values[place:end] = reader.number(value_bits) if repeated else reader.numbers(end - place, value_bits)
            place = end
    except (ValueError, TypeError) as error:
        raise PredictionError(f'"rle" is not a brush mask: {error}') from error
    # Red, green and blue are the colour it was drawn in.
    return values.reshape(height, width, _CHANNELS)[:, :, 3] > 0


def mask_of(region: Mapping[str, Any]) -> np.ndarray:
    """The mask of a brush region in Label Studio's format.

    Raises:
        PredictionError: It has none, or its size is missing.
    """
    try:
        return decode_rle(region['value']['rle'], int(region['original_width']), int(region['original_height']))
    except KeyError as error:
        raise PredictionError(f'a brush region needs {error}; it has {", ".join(sorted(region))}') from error


def _split(lengths: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same runs, none longer than a length can say."""
    parts = -(-lengths // _LONGEST)
    whole = np.full(int(parts.sum()), _LONGEST, np.int64)
    whole[np.cumsum(parts) - 1] = lengths - (parts - 1) * _LONGEST
    return whole, np.repeat(values, parts)


def _bits(codes: Sequence[int] | np.ndarray, sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Numbers of different sizes as one row of bits, the highest bit of each first."""
    codes, sizes = np.asarray(codes, np.int64), np.asarray(sizes, np.int64)
    ends = np.cumsum(sizes)
    shifts = np.repeat(ends, sizes) - 1 - np.arange(ends[-1])
    return (np.repeat(codes, sizes) >> shifts & 1).astype(np.uint8)


class _Reader:
    """Numbers out of bits."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._bits = np.unpackbits(np.frombuffer(content, np.uint8))
        self._place = 0

    def number(self, size: int) -> int:
        start, end = self._place, self._place + size
        self._advance(size)
        first, last = start // 8, -(-end // 8)
        return int.from_bytes(self._content[first:last], 'big') >> last * 8 - end & (1 << size) - 1

    def numbers(self, count: int, size: int) -> np.ndarray:
        start = self._place
        self._advance(count * size)
        rows = self._bits[start : self._place].reshape(count, size)
        return rows @ (1 << np.arange(size - 1, -1, -1, dtype=np.int64))

    def _advance(self, size: int) -> None:
        if self._place + size > len(self._bits):
            raise ValueError('it ends too early')
        self._place += size
