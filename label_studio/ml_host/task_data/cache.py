"""Fetched files on disk: named by a hash of where they came from, bounded, oldest use evicted first."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

logger = logging.getLogger(__name__)

# An address may serve other content tomorrow.
MAX_AGE_SECONDS = 24 * 3600
_STALE_PART_SECONDS = 3600
_PART = '.part'


class FileCache:
    """A folder of fetched files that threads and processes share.

    Files appear by rename, so a reader sees all of one or nothing. The time of last use is kept in the file's access
    time, which is written on purpose and works on file systems that do not keep it themselves.
    """

    def __init__(self, folder: Path, limit_bytes: int, max_age: float = MAX_AGE_SECONDS) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.max_age = max_age
        # Threads that want the same file wait for the first one instead of fetching it again.
        self._locks = [threading.Lock() for _ in range(64)]
        self._counting = threading.Lock()
        # Until the first look at the folder, what other processes left there is unknown.
        self._unseen_bytes = limit_bytes

    def path(self, key: str, suffix: str, fetch: Callable[[], Iterable[bytes]]) -> Path:
        """The file kept under ``key``, fetched when it is not there. Raises what ``fetch`` raises, or OSError."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        target = self.folder / digest[:2] / f'{digest}{suffix}'
        with self._locks[int(digest[:4], 16) % len(self._locks)]:
            if not self._touch(target):
                self._write(target, fetch)
        return target

    def _touch(self, target: Path) -> bool:
        try:
            fetched = target.stat().st_mtime
            if time.time() - fetched > self.max_age:
                return False
            os.utime(target, (time.time(), fetched))
        except FileNotFoundError:
            return False
        return True

    def _write(self, target: Path, fetch: Callable[[], Iterable[bytes]]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=_PART, dir=target.parent)
        try:
            with os.fdopen(handle, 'wb') as file:
                for chunk in fetch():
                    file.write(chunk)
                size = file.tell()
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._make_room(size, target)

    def _make_room(self, size: int, newest: Path) -> None:
        with self._counting:
            self._unseen_bytes += size
            # Looking through the folder costs a system call a file: once for every twentieth of the limit is enough,
            # because each look leaves a tenth free.
            if self._unseen_bytes < self.limit_bytes / 20:
                return
            self._unseen_bytes = 0
            files = sorted(self._files())
            total = sum(length for _, length, _ in files)
            if total <= self.limit_bytes * 0.9:
                return
            for _, length, path in files:
                if path == newest:
                    continue
                path.unlink(missing_ok=True)
                total -= length
                if total <= self.limit_bytes * 0.9:
                    break

    def _files(self) -> Iterable[tuple[float, int, Path]]:
        for path in self.folder.glob('*/*'):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            if path.suffix == _PART:
                # Being written, or left by a process that was killed.
                if time.time() - facts.st_mtime > _STALE_PART_SECONDS:
                    path.unlink(missing_ok=True)
                continue
            yield facts.st_atime, facts.st_size, path


@lru_cache(maxsize=8)
def shared_cache(folder: Path, limit_bytes: int) -> FileCache:
    """The process's one cache for a folder."""
    return FileCache(folder, limit_bytes)
