"""What one version of a model said about tasks: columns of numbers in files that are mapped into memory.

Writers, in any number of processes, add small files; whoever finds too many of them merges some. A file is either
whole or not there, and never changes. So nothing has to be locked to read, and what is killed leaves nothing behind
that counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from label_studio.ml_host.sampling.parts import SUFFIX, DamagedPartError, column, open_part, write_part
from label_studio.ml_host.sampling.rows import FORGOTTEN, Rows, forgotten
from label_studio.ml_host.sampling.selection import Part, Selection, locate

logger = logging.getLogger(__name__)

# More files than this are merged.
MOST_PARTS = 16
# What a writer merges by the way; the rest is left to who reads everything anyway.
MOST_MERGED_BY_WRITERS = 50_000
# A draft that was not finished by then belongs to nobody.
_DRAFT_SECONDS = 3600


class AnswerStore:
    """The numbers of one project, backend and version.

    Args:
        folder: Of this version alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, rows: Rows) -> None:
        """Add rows; they count from now on."""
        if len(rows.task_ids):
            write_part(self.folder, rows.columns())
            if len(self._paths()) > MOST_PARTS:
                self.merge(MOST_MERGED_BY_WRITERS)

    def find(self, task_ids: np.ndarray) -> Selection:
        """The latest rows of these tasks; ascending numbers, each once."""
        found = locate(list(self._open().values()), task_ids)
        return found.without(found.marked(FORGOTTEN))

    def task_ids(self) -> np.ndarray:
        """All tasks that there are rows of, ascending."""
        found = locate_all(list(self._open().values()))
        return found.task_ids[~found.marked(FORGOTTEN)]

    def forget(self, task_ids: np.ndarray) -> None:
        """What was said of some tasks counts no more: they are others now."""
        known = self.find(task_ids)
        self.append(forgotten(known.task_ids[known.known]))

    def forgotten(self, since: int = 0) -> np.ndarray:
        """Tasks that were forgotten and not answered again, ascending.

        Args:
            since: Only those forgotten later; in nanoseconds, as rows are stamped.
        """
        parts = list(self._open().values())
        # Most files hold no such row, and are not read.
        found = locate(parts, _task_ids([columns for columns in parts if f'd:{FORGOTTEN}' in columns]))
        return found.task_ids[found.marked(FORGOTTEN) & (found.stamps() > since)]

    @property
    def changed_at(self) -> int:
        """Changes when files come or go; 0 when there are none."""
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(_size(path) for path in self._paths())

    def merge(self, most: int | None = None) -> bool:
        """Make fewer files of many; False when somebody else is at it or there is nothing to gain.

        Args:
            most: Rows of the files that are merged together; None for no limit.
        """
        with self._alone() as is_mine:
            if not is_mine:
                return False
            parts = self._open()
            small = _to_merge({path: len(columns['task_ids']) for path, columns in parts.items()}, most)
            if len(small) < 2:
                return False
            self._write(locate_all([parts[path] for path in small]))
            for path in small:
                with contextlib.suppress(OSError):
                    path.unlink()
            self._sweep()
            return True

    def _write(self, chosen: Selection) -> None:
        columns = {'task_ids': column(chosen.task_ids), 'stamps': column(chosen.stamps())}
        columns |= {f'd:{name}': chosen.dense(name) for name in chosen.names('d:')}
        for name in chosen.names('o:'):
            offsets, values = chosen.ragged(name)
            columns |= {f'o:{name}': column(offsets), f'v:{name}': column(values)}
        write_part(self.folder, columns, durable=True)

    def _open(self) -> dict[Path, Part]:
        found: dict[Path, Part] = {}
        # Files that are merged while we look are in the file that took their place: look again.
        for _ in range(5):
            found, missed = {}, False
            for path in self._paths():
                try:
                    found[path] = open_part(path)
                except FileNotFoundError:
                    missed = True
                except DamagedPartError as error:
                    logger.warning('%s; what it held is computed again when it is needed', error)
                    with contextlib.suppress(OSError):
                        path.unlink()
            if not missed:
                break
        return found

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f'*{SUFFIX}'))

    def _sweep(self) -> None:
        for path in self.folder.glob('*.draft'):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _DRAFT_SECONDS:
                    path.unlink()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else merges; nobody is waited for."""
        if not self.folder.is_dir():
            yield False
            return
        handle = os.open(self.folder / '.lock', os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)


def locate_all(parts: Sequence[Part]) -> Selection:
    """The latest row of every task in some files."""
    return locate(parts, _task_ids(parts))


def _task_ids(parts: Sequence[Part]) -> np.ndarray:
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(columns['task_ids'] for columns in parts)]))


def _to_merge(rows: dict[Path, int], most: int | None) -> list[Path]:
    """The smallest files, as long as the next one is no more than twice what they have together.

    So a row is copied as often as the number of rows has doubled, and not with every merge.
    """
    chosen: list[Path] = []
    total = 0
    for path, count in sorted(rows.items(), key=lambda item: item[1]):
        if chosen and (count > 2 * total or (most is not None and total + count > most)):
            break
        chosen.append(path)
        total += count
    return chosen


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
