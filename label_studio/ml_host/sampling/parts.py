"""One file of the answer store: numbers by task, written once, mapped into memory when it is read.

Knows neither Django nor the database: the process that computes scores reads the same files.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

SUFFIX = '.answers'
_MAGIC = b'LSANSW01'
_ALIGNMENT = 64
# Rows that are handled at once, so that memory does not grow with the file.
CHUNK = 8192
_DTYPES = {'int64': np.int64, 'float16': np.float16}
# Larger ones are only compared with their length, which is what a power failure would change.
_MOST_CHECKED = 16 * 1024**2
_READ = 1024**2
# Files that were compared with their check sums; they never change.
_sound: set[Path] = set()
_MOST_REMEMBERED = 10_000

# A column in pieces, for files that are larger than memory.
Pieces = Callable[[], Iterator[np.ndarray]]


class DamagedPartError(ValueError):
    """A file that is not what was written."""


@dataclass(frozen=True)
class Column:
    """What a column will be.

    Attributes:
        dtype: Name of a numpy type.
        shape: Of all pieces together.
        pieces: Gives them, in order.
    """

    dtype: str
    shape: tuple[int, ...]
    pieces: Pieces


def column(values: np.ndarray) -> Column:
    """A column that is in memory."""
    return Column(values.dtype.name, values.shape, lambda: iter((values,)))


def write_part(folder: Path, columns: Mapping[str, Column], durable: bool = False) -> Path:
    """Write a file that is either whole or not there.

    Args:
        folder: It is made where it is missing.
        columns: By name.
        durable: Survive a power failure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{uuid.uuid4().hex}{SUFFIX}'
    draft = path.with_suffix('.draft')
    try:
        with draft.open('wb') as stream:
            places, end = _places(columns)
            head = {'columns': places, 'end': end}
            stream.write(_MAGIC + b'\0' * 16)
            check = 0
            for name, wanted in columns.items():
                stream.seek(places[name]['at'])
                for piece in wanted.pieces():
                    data = np.ascontiguousarray(piece).data.cast('B') if piece.size else b''
                    check = zlib.crc32(data, check)
                    stream.write(data)
            stream.seek(end)
            stream.write(json.dumps({**head, 'check': check}).encode())
            size = stream.tell() - end
            stream.seek(len(_MAGIC))
            stream.write(end.to_bytes(8, 'little') + size.to_bytes(8, 'little'))
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        draft.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return path


def open_part(path: Path) -> dict[str, np.ndarray]:
    """The columns of a file, mapped into memory.

    Raises:
        FileNotFoundError: It was merged into another file meanwhile.
        DamagedPartError: It is not what was written.
    """
    with path.open('rb') as stream:
        start = stream.read(len(_MAGIC) + 16)
        end, size = (int.from_bytes(start[at : at + 8], 'little') for at in (len(_MAGIC), len(_MAGIC) + 8))
        if start[: len(_MAGIC)] != _MAGIC or os.fstat(stream.fileno()).st_size != end + size or not size:
            raise DamagedPartError(f'{path} is not complete')
        stream.seek(end)
        try:
            head = json.loads(stream.read(size))
            if end <= _MOST_CHECKED and path not in _sound:
                _check(stream, head, path)
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            return {name: _mapped(content, place) for name, place in head['columns'].items()}
        except DamagedPartError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedPartError(f'{path} cannot be read: {error}') from error


def _check(stream: IO[bytes], head: Mapping, path: Path) -> None:
    """Compare a file with its check sum, once in each process; read, not mapped, so that its pages are not kept."""
    check = 0
    for place in head['columns'].values():
        stream.seek(place['at'])
        left = _length(place)
        while left:
            data = stream.read(min(left, _READ))
            if not data:
                break
            check, left = zlib.crc32(data, check), left - len(data)
    if check != head.get('check'):
        raise DamagedPartError(f'{path} has another check sum than when it was written')
    if len(_sound) >= _MOST_REMEMBERED:
        _sound.clear()
    _sound.add(path)


def _places(columns: Mapping[str, Column]) -> tuple[dict[str, dict], int]:
    places, at = {}, _ALIGNMENT
    for name, wanted in columns.items():
        places[name] = {'at': at, 'dtype': wanted.dtype, 'shape': list(wanted.shape)}
        at = -(-(at + _length(places[name])) // _ALIGNMENT) * _ALIGNMENT
    return places, at


def _length(place: Mapping) -> int:
    return int(np.prod(place['shape'])) * np.dtype(_DTYPES[place['dtype']]).itemsize


def _mapped(content: mmap.mmap, place: Mapping) -> np.ndarray:
    shape = tuple(place['shape'])
    count = int(np.prod(shape))
    if not count:
        return np.empty(shape, _DTYPES[place['dtype']])
    return np.frombuffer(content, _DTYPES[place['dtype']], count, place['at']).reshape(shape)
