"""Feature vectors on disk, kept between runs."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from pathlib import Path

import numpy as np

from ml_plugins.types import Task

logger = logging.getLogger(__name__)

# Written whenever so many are new, so that a killed run loses little; merged when there are many files.
_SHARD = 256
_MOST_SHARDS = 32


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
        self._known: dict[str, np.ndarray] = {}
        self._new: dict[str, np.ndarray] = {}
        self._read()

    def get(self, task: Task, key: str) -> np.ndarray | None:
        """The stored feature vector, or None."""
        return self._known.get(_name(task, key))

    def put(self, task: Task, key: str, features: np.ndarray) -> None:
        """Keep a feature vector; written by and by and by `flush`."""
        name = _name(task, key)
        self._known[name] = self._new[name] = features
        if len(self._new) >= _SHARD:
            self.flush()

    def flush(self) -> None:
        """Write what is new. A full disk costs the next run some time, not this one its result."""
        if self._new:
            self._write(self._new)
            self._new = {}

    def _read(self) -> None:
        from safetensors import SafetensorError, safe_open

        shards = sorted(self._folder.glob('*.safetensors'))
        for path in shards:
            try:
                with safe_open(path, 'numpy') as file:
                    names = json.loads(file.metadata()['names'])
                    self._known.update(zip(names, file.get_tensor('features'), strict=True))
            except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
                logger.warning('cached features in %s cannot be used and are made again: %s', path, error)
                path.unlink(missing_ok=True)
        if len(shards) > _MOST_SHARDS and self._write(self._known):
            for path in shards:
                path.unlink(missing_ok=True)

    def _write(self, items: dict[str, np.ndarray]) -> bool:
        from safetensors.numpy import save

        content = save({'features': np.stack(list(items.values()))}, {'names': json.dumps(list(items))})
        path = self._folder / f'{uuid.uuid4().hex}.safetensors'
        unfinished = path.with_suffix('.part')
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            logger.warning('features are not kept for the next run: %s', error)
            return False
        return True


def _name(task: Task, key: str) -> str:
    return hashlib.sha256(json.dumps([task.id, key, task.data.get(key)], default=str).encode()).hexdigest()[:32]
