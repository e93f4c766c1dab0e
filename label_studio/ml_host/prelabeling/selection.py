"""Task numbers of a run in one column: sorted, 8 bytes each, compressed."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Any


def pack(task_ids: Iterable[int]) -> tuple[bytes, array]:
    """Sort and compress task numbers; each stands once.

    Returns:
        What is stored, and the sorted numbers.
    """
    numbers = array('Q', sorted(set(task_ids)))
    return _packed(numbers), numbers


def pack_sorted(task_ids: Any) -> bytes:
    """Compress an array of task numbers that are ascending already; of a million no million objects are made."""
    return _packed(array('Q', task_ids.astype('uint64').tobytes()))


def _packed(numbers: array) -> bytes:
    return zlib.compress(_little_endian(numbers).tobytes(), 1)


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
