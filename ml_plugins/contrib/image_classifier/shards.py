"""Files of feature vectors that are mapped into memory, in the safetensors format."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TENSOR = 'features'


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        names: Of the vectors, in order.
        rows: Of shape (vectors, size); what is not looked at stays on the disk.
    """

    names: Sequence[str]
    rows: np.ndarray


def open_shard(path: Path) -> Shard:
    """Map a file.

    Raises:
        OSError: It is not there.
        ValueError: It is damaged.
    """
    with path.open('rb') as file:
        start = file.read(8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else -1
        size = path.stat().st_size
        if not 0 < length <= size:
            raise ValueError('it has no header')
        header = json.loads(file.read(length))
    try:
        names, (count, width) = json.loads(header['__metadata__']['names']), header[_TENSOR]['shape']
        if header[_TENSOR]['dtype'] != 'F32' or len(names) != count or size != 8 + length + 4 * count * width:
            raise ValueError('its header does not fit its content')
    except (KeyError, TypeError) as error:
        raise ValueError(f'its header is incomplete: {error}') from error
    rows = np.memmap(path, '<f4', 'r', 8 + length, (count, width)) if count * width else np.zeros((0, width), '<f4')
    return Shard(names, rows)


def write_shard(path: Path, parts: Iterable[Shard]) -> None:
    """Write the vectors of several shards into one file; all of it or nothing. Raises `OSError`."""
    parts = list(parts)
    names = [name for part in parts for name in part.names]
    width = parts[0].rows.shape[1]
    header = {
        '__metadata__': {'names': json.dumps(names)},
        _TENSOR: {'dtype': 'F32', 'shape': [len(names), width], 'data_offsets': [0, 4 * len(names) * width]},
    }
    content = json.dumps(header).encode()
    content += b' ' * (-len(content) % 8)
    unfinished = path.with_suffix('.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open('wb') as file:
            file.write(struct.pack('<Q', len(content)) + content)
            for part in parts:
                file.write(np.ascontiguousarray(part.rows, '<f4').data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
