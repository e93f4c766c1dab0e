"""Feature vectors on disk, kept between runs; mapped into memory, so that many thousands of them take none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml_plugins.contrib.image_classifier.shards import Shard, open_shard, write_shard
from ml_plugins.types import Task

logger = logging.getLogger(__name__)

# Written whenever so many are new, so that a killed run loses little.
_SHARD = 256
# Files smaller than this are merged when there are too many of them.
_SMALL = 8192
_MOST_SMALL = 32


class FeatureStore:
    """Features of one backbone by task, field and the field's value.

    The value stands for the picture: reading each picture again to compare its content would cost more than the
    features save. A task that is given another file gets a new value and so new features.

    Args:
        folder: The run's cache directory.
        fingerprint: The backbone's.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder / 'features' / fingerprint
        self._shards: dict[Path, Shard] = {}
        self._places: dict[str, tuple[Path, int]] = {}
        self._new: dict[str, np.ndarray] = {}
        self._changed_at = 0
        self.renew()

    def renew(self) -> None:
        """Notice what other processes have stored since; cheap when that is nothing."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
        except OSError:
            return
        if changed_at == self._changed_at:
            return
        self._changed_at = changed_at
        paths = sorted(self._folder.glob('*.safetensors'))
        for path in paths:
            if path not in self._shards:
                self._open(path)
        # Another process has merged the others; their content is in the new file.
        for path in self._shards.keys() - set(paths):
            self._forget(path)

    def get(self, task: Task, key: str) -> np.ndarray | None:
        """The stored feature vector, or None."""
        name = _name(task, key)
        if name in self._new:
            return self._new[name]
        place = self._places.get(name)
        return None if place is None else self._shards[place[0]].rows[place[1]]

    def put(self, task: Task, key: str, features: np.ndarray) -> None:
        """Keep a feature vector; written by and by and by `flush`."""
        self._new[_name(task, key)] = features
        if len(self._new) >= _SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is new. A full disk costs the next run some time, not this one its result."""
        if self._new and self._write([Shard(list(self._new), np.stack(list(self._new.values())))]):
            self._new = {}
        self._merge()

    def _open(self, path: Path) -> None:
        try:
            shard = open_shard(path)
        except FileNotFoundError:
            # Merged into another file meanwhile.
            return
        except (OSError, ValueError) as error:
            logger.warning('cached features in %s cannot be used and are made again: %s', path, error)
            _remove(path)
            return
        self._shards[path] = shard
        self._places.update((name, (path, row)) for row, name in enumerate(shard.names))

    def _forget(self, path: Path) -> None:
        for name in self._shards.pop(path).names:
            if self._places.get(name, (None,))[0] == path:
                del self._places[name]

    def _merge(self) -> None:
        small = [path for path, shard in self._shards.items() if len(shard.names) < _SMALL]
        if len(small) > _MOST_SMALL and self._write([self._shards[path] for path in small]):
            for path in small:
                self._forget(path)
                _remove(path)

    def _write(self, parts: Sequence[Shard]) -> bool:
        path = self._folder / f'{uuid.uuid4().hex}.safetensors'
        try:
            write_shard(path, parts)
        except OSError as error:
            logger.warning('features are not kept for the next run: %s', error)
            return False
        self._open(path)
        return path in self._shards


def _remove(path: Path) -> None:
    # Windows does not remove what another process has mapped.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _name(task: Task, key: str) -> str:
    return hashlib.sha256(json.dumps([task.id, key, task.data.get(key)], default=str).encode()).hexdigest()[:32]
