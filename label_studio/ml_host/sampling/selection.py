"""Some rows of several files of the answer store, read a few at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from label_studio.ml_host.sampling.parts import CHUNK, Column

Part = Mapping[str, np.ndarray]

# More than this goes into a file instead of memory.
MOST_IN_MEMORY = 64 * 1024**2


@dataclass(frozen=True)
class Selection:
    """Rows of files, one a task.

    Attributes:
        parts: The files' columns.
        task_ids: Ascending.
        part: Which file has the task's latest row; -1: none has.
        row: Which row of it that is.
    """

    parts: Sequence[Part]
    task_ids: np.ndarray
    part: np.ndarray
    row: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which tasks there is a row of."""
        return self.part >= 0

    def only(self, mask: np.ndarray) -> Selection:
        """Some of the tasks."""
        return Selection(self.parts, self.task_ids[mask], self.part[mask], self.row[mask])

    def without(self, mask: np.ndarray) -> Selection:
        """The same tasks, some of which there is no row of."""
        return Selection(self.parts, self.task_ids, np.where(mask, np.int16(-1), self.part), self.row)

    def marked(self, name: str) -> np.ndarray:
        """Which rows have a number in a dense column of one; most files have no such column."""
        found = np.zeros(len(self.task_ids), dtype=bool)
        for number, columns in enumerate(self.parts):
            if f'd:{name}' in columns:
                mask = self.part == number
                found[mask] = columns[f'd:{name}'][self.row[mask], 0] == 1
        return found

    def names(self, kind: str) -> list[str]:
        """Columns that any of the files has.

        Args:
            kind: ``"d:"`` for dense ones, ``"o:"`` for ragged ones.
        """
        names = {name for part in self._newest_first() for name in part if name.startswith(kind)}
        return sorted(name.removeprefix(kind) for name in names)

    def width(self, name: str) -> int:
        """Numbers of each row of a dense column: as many as in the newest file that has it."""
        return next(part[f'd:{name}'].shape[1] for part in self._newest_first() if f'd:{name}' in part)

    def dense(self, name: str) -> Column:
        """Shape (n, width); NaN where a file has no such column or one of another width."""
        width = self.width(name)

        def pieces() -> Iterator[np.ndarray]:
            for which in self._chunks():
                found = np.full((len(self.part[which]), width), np.nan, dtype=np.float16)
                for number, mask, rows in self._by_part(which):
                    values = self.parts[number].get(f'd:{name}')
                    if values is not None and values.shape[1] == width:
                        found[mask] = values[rows]
                yield found

        return Column('float16', (len(self.task_ids), width), pieces)

    def stamps(self) -> np.ndarray:
        """When each row was computed; 0 where there is none."""
        found = np.zeros(len(self.task_ids), dtype=np.int64)
        for number, mask, rows in self._by_part(slice(0, len(self.task_ids))):
            found[mask] = self.parts[number]['stamps'][rows]
        return found

    def ragged(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and values."""
        lengths = np.zeros(len(self.task_ids), dtype=np.int64)
        whole = slice(0, len(self.task_ids))
        for number, mask, rows in self._by_part(whole):
            offsets = self.parts[number].get(f'o:{name}')
            if offsets is not None:
                lengths[mask] = offsets[rows + 1] - offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = np.empty(offsets[-1], dtype=np.float16)
        for number, mask, rows in self._by_part(whole):
            there = self.parts[number].get(f'o:{name}')
            if there is not None:
                count = lengths[mask]
                values[_spread(offsets[:-1][mask], count)] = self.parts[number][f'v:{name}'][
                    _spread(there[rows], count)
                ]
        return offsets, values

    def read(self, name: str, folder: Path) -> np.ndarray:
        """A dense column, in memory or, where it is large, in a file of its own.

        Args:
            folder: For the file; whoever made the folder removes it.
        """
        wanted = self.dense(name)
        if np.prod(wanted.shape) * 2 <= MOST_IN_MEMORY:
            return np.concatenate(list(wanted.pieces())) if len(self.task_ids) else np.empty(wanted.shape, np.float16)
        found = np.memmap(folder / f'{uuid.uuid4().hex}.rows', np.float16, 'w+', shape=wanted.shape)
        at = 0
        for piece in wanted.pieces():
            found[at : at + len(piece)] = piece
            at += len(piece)
        return found

    def _newest_first(self) -> list[Part]:
        return sorted(self.parts, key=lambda part: -int(part['stamps'].max(initial=0)))

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self.task_ids), CHUNK):
            yield slice(start, min(start + CHUNK, len(self.task_ids)))

    def _by_part(self, which: slice) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        parts, rows = self.part[which], self.row[which]
        for number in range(len(self.parts)):
            mask = parts == number
            if mask.any():
                yield number, mask, rows[mask]


def locate(parts: Sequence[Part], task_ids: np.ndarray) -> Selection:
    """Where the latest row of each task is.

    Args:
        task_ids: Ascending, each once.
    """
    latest = np.full(len(task_ids), -1, dtype=np.int64)
    part = np.full(len(task_ids), -1, dtype=np.int16)
    row = np.zeros(len(task_ids), dtype=np.int64)
    for number, columns in enumerate(parts):
        if not len(columns['task_ids']):
            continue
        at = np.searchsorted(columns['task_ids'], task_ids)
        at[at == len(columns['task_ids'])] = 0
        stamps = columns['stamps'][at]
        newer = (columns['task_ids'][at] == task_ids) & (stamps > latest)
        latest[newer], part[newer], row[newer] = stamps[newer], number, at[newer]
    return Selection(parts, task_ids, part, row)


def _spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers ``starts[i] ... starts[i] + lengths[i] - 1`` of all i, one after another."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
