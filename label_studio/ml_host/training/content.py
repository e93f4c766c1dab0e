"""What a snapshot holds, packed: tasks, annotations, a hash of each content, what is learned from and what held out."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

_FORMAT = 1
_COLUMNS = {'tasks': '<i8', 'annotations': '<i8', 'hashes': '<u8', 'learned': '?', 'held_out': '?'}


@dataclass(frozen=True)
class SnapshotRows:
    """Submitted annotations, ordered by task and number; arrays of the same length.

    Attributes:
        tasks: Task of each annotation.
        annotations: Its number.
        hashes: `content_hash` of it.
        learned: Whether it is what is learned from, by the rule for several annotators.
        held_out: Whether its task is only measured on.
        label_config: Hash of the project's label config.
        previous: Number of the version that training started from; None for none.
    """

    tasks: np.ndarray
    annotations: np.ndarray
    hashes: np.ndarray
    learned: np.ndarray
    held_out: np.ndarray
    label_config: str = ''
    previous: int | None = None

    @cached_property
    def task_ids(self) -> np.ndarray:
        """Labeled tasks, ascending."""
        return np.unique(self.tasks)

    @cached_property
    def held_out_ids(self) -> np.ndarray:
        """Tasks that are only measured on, ascending."""
        return np.unique(self.tasks[self.held_out])

    @cached_property
    def train_ids(self) -> np.ndarray:
        """Tasks that are learned from, ascending."""
        return np.unique(self.tasks[~self.held_out])

    @property
    def digest(self) -> str:
        """SHA-256 of everything that training can see of the labels."""
        found = hashlib.sha256(self.label_config.encode())
        for name in _COLUMNS:
            found.update(_column(self, name))
        return found.hexdigest()

    def learned_from(self, first: int, last: int) -> dict[int, int]:
        """Hash by number of the annotations to learn from, of the tasks from `first` to `last`."""
        part = slice(np.searchsorted(self.tasks, first), np.searchsorted(self.tasks, last, side='right'))
        chosen = self.learned[part]
        return dict(zip(self.annotations[part][chosen].tolist(), self.hashes[part][chosen].tolist(), strict=True))


def rows_of(items: Sequence[tuple[int, int, int, bool, bool]], label_config: str = '') -> SnapshotRows:
    """Rows from task, annotation, hash, learned and held-out flag of each annotation."""
    columns = list(zip(*items, strict=True)) or [()] * len(_COLUMNS)
    arrays = [np.array(column, dtype=kind) for column, kind in zip(columns, _COLUMNS.values(), strict=True)]
    return SnapshotRows(*arrays, label_config=label_config)


def pack(rows: SnapshotRows) -> bytes:
    """The rows as stored in ``DatasetSnapshot.content``."""
    header = {
        'format': _FORMAT,
        'count': len(rows.tasks),
        **{field.name: getattr(rows, field.name) for field in fields(rows) if field.name not in _COLUMNS},
    }
    return zlib.compress(json.dumps(header).encode() + b'\n' + b''.join(_column(rows, name) for name in _COLUMNS))


def unpack(content: Any) -> SnapshotRows:
    """What `pack` made; takes what a database gives for a binary field."""
    header, _, data = zlib.decompress(bytes(content)).partition(b'\n')
    values = json.loads(header)
    count, start, arrays = values.pop('count'), 0, {}
    values.pop('format')
    for name, kind in _COLUMNS.items():
        arrays[name] = np.frombuffer(data, kind, count, start)
        start += arrays[name].nbytes
    return SnapshotRows(**arrays, **values)


def content_hash(result: Sequence[Mapping[str, Any]], ground_truth: bool) -> int:
    """64 bits that change with what an annotation says and with whether it is ground truth."""
    text = json.dumps([result, ground_truth], sort_keys=True, separators=(',', ':'))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'little')


def text_hash(text: str) -> str:
    """Hash of a label config."""
    return hashlib.sha256(text.encode()).hexdigest()


def _column(rows: SnapshotRows, name: str) -> bytes:
    return np.ascontiguousarray(getattr(rows, name), dtype=_COLUMNS[name]).tobytes()
