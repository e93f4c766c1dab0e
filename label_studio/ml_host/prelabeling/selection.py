"""Task numbers of a run in one column: sorted, 8 bytes each, compressed."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable


def pack(task_ids: Iterable[int]) -> tuple[bytes, array]:
    """Sort and compress task numbers; each stands once.

    Returns:
        What is stored, and the sorted numbers.
    """
    numbers = array('Q', sorted(set(task_ids)))
    return zlib.compress(_little_endian(numbers).tobytes(), 1), numbers


def unpack(packed: bytes) -> array:
    """The sorted task numbers; about 8 bytes of memory each."""
    numbers = array('Q')
    numbers.frombytes(zlib.decompress(packed))
    return _little_endian(numbers)


def _little_endian(numbers: array) -> array:
    # What one machine stored another one may read.
    if sys.byteorder == 'big':
        numbers = array('Q', numbers)
        numbers.byteswap()
    return numbers
