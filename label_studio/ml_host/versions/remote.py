"""Files of versions in a Django storage, such as S3, GCS or Azure: put there, fetched and removed, with patience."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from label_studio.ml_host.versions.errors import VersionStorageError
from label_studio.ml_host.versions.manifest import FILES, MANIFEST, checksum, sync

logger = logging.getLogger(__name__)

T = TypeVar('T')

# Everything of ours in a storage is in this folder.
ROOT = 'ml-versions'
# Pauses before the next tries, in seconds.
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
# Cloud storages read a whole file into memory, unless they are told from which size on it goes to the disk.
_IN_MEMORY = 16 * 1024**2
_CHUNK = 1 << 20
# No other try makes room on this machine's disk, or permits what is forbidden here.
_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def configured() -> RemoteFiles | None:
    """The storage of versions; None where they are on the local disk alone.

    Raises:
        VersionStorageError: It cannot be set up; the message names the setting.
    """
    alias = settings.ML_VERSION_STORAGE
    if not alias:
        return None
    try:
        storage = storages.create_storage(settings.STORAGES[alias])
    except Exception as error:  # a storage's class may raise anything
        raise VersionStorageError(f'The storage of ML_VERSION_STORAGE cannot be set up: {error}') from error
    if hasattr(storage, 'max_memory_size') and not storage.max_memory_size:
        storage.max_memory_size = _IN_MEMORY
    return RemoteFiles(storage)


class RemoteFiles:
    """Folders with a manifest and files in one storage; their names are never used twice."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def push(self, folder: Path, key: str) -> None:
        """Store a prepared folder; the manifest comes last.

        Raises:
            VersionStorageError: Names the file that cannot be stored.
        """
        names = [f'{FILES}/{name}' for name in json.loads((folder / MANIFEST).read_bytes())]
        for name in (*names, MANIFEST):
            self._save(f'{key}/{name}', folder / name)

    def fetch(self, key: str, digest: str, target: Path, label: str) -> None:
        """Write a stored folder into an empty one here, everything checked.

        Raises:
            VersionStorageError: Names the file that is missing or differs from what was stored.
        """
        content = self._patiently(label, MANIFEST, lambda: self._read(f'{key}/{MANIFEST}'))
        if hashlib.sha256(content).hexdigest() != digest:
            raise VersionStorageError(f'Version {label}: {key}/{MANIFEST} in the version storage was changed.')
        for name, expected in json.loads(content).items():
            path = target / FILES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._patiently(label, name, lambda path=path, name=name: self._copy(f'{key}/{FILES}/{name}', path))
            if path.stat().st_size != expected['size'] or checksum(path) != expected['sha256']:
                raise VersionStorageError(f'Version {label}: {key}/{FILES}/{name} in the version storage was changed.')
        (target / FILES).mkdir(exist_ok=True)
        (target / MANIFEST).write_bytes(content)
        sync(target / MANIFEST)
        sync(target)

    def remove(self, key: str) -> None:
        """Remove a folder as far as the storage lets us; what is left takes room and does nothing."""
        try:
            self._remove(key)
        except Exception as error:  # each kind of storage raises errors of its own
            logger.warning('%s could not be removed from the version storage: %s', key, error)

    def _save(self, name: str, path: Path) -> None:
        tried = False

        def once() -> None:
            nonlocal tried
            if tried:
                # The try before may have broken off half-way.
                self._storage.delete(name)
            tried = True
            with path.open('rb') as stream:
                saved = self._storage.save(name, File(stream))
            if saved != name:
                with suppress(Exception):
                    self._storage.delete(saved)
                raise _RefusedError(f'the storage would call it {saved}')

        self._patiently('', name, once)

    def _read(self, name: str) -> bytes:
        with self._storage.open(name, 'rb') as stream:
            return stream.read()

    def _copy(self, name: str, path: Path) -> None:
        with self._storage.open(name, 'rb') as source, path.open('wb') as target:
            while block := source.read(_CHUNK):
                target.write(block)
        sync(path)

    def _remove(self, key: str) -> None:
        folders, files = self._storage.listdir(key)
        for name in files:
            self._storage.delete(f'{key}/{name}')
        for name in folders:
            self._remove(f'{key}/{name}')
        if isinstance(self._storage, FileSystemStorage):
            # Elsewhere folders are only parts of names.
            self._storage.delete(key)

    def _patiently(self, label: str, name: str, act: Callable[[], T]) -> T:
        """What `act` returns; it is called again when the storage fails."""
        what = f'Version {label}: {name} cannot be fetched' if label else f'{name} cannot be stored'
        for pause in (*PAUSES, None):
            try:
                return act()
            except Exception as error:  # each kind of storage raises errors of its own
                if pause is None or _is_hopeless(error):
                    raise VersionStorageError(f'{what}: {_reason(error, bool(label))}') from error
                logger.warning('%s, it is tried again in %s s: %s', what, pause, error)
                time.sleep(pause)
        raise AssertionError('the last try returns or raises')


class _RefusedError(Exception):
    """The storage does not take a name as it is."""


def _is_hopeless(error: Exception) -> bool:
    if isinstance(error, (FileNotFoundError, PermissionError, _RefusedError)):
        return True
    return isinstance(error, OSError) and error.errno in _HOPELESS


def _reason(error: Exception, is_fetch: bool) -> str:
    if is_fetch and isinstance(error, FileNotFoundError):
        return 'it is not in the version storage (ML_VERSION_STORAGE). Put another version in service, or train again.'
    return f'{type(error).__name__}: {error}'
