"""The files of a version, on this machine and checked; fetched from the storage of versions where they are missing."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.versions import remote
from label_studio.ml_host.versions.errors import VersionStorageError
from label_studio.ml_host.versions.local import forget_least_used, note_use
from label_studio.ml_host.versions.manifest import mark_copy, sync, verify
from ml_plugins.exceptions import ModelVersionError
from ml_plugins.types import VersionFiles

logger = logging.getLogger(__name__)


def version_files(version: ModelVersion) -> VersionFiles:
    """The files of a version, checked against their checksums.

    Raises:
        ModelVersionError: A file is missing or damaged and cannot be fetched; the message names it.
    """
    folder = Path(settings.ML_VERSION_DIR) / version.directory
    try:
        path = verify(folder, version.digest, version.label)
    except ModelVersionError as error:
        if not version.remote:
            raise
        logger.info('%s is fetched: %s', version, error)
        path = _fetch(version, folder)
    if version.remote:
        note_use(folder)
    return VersionFiles(version.number, path, dict(version.metrics))


def _fetch(version: ModelVersion, folder: Path) -> Path:
    stored = remote.configured()
    if stored is None:
        raise VersionStorageError(
            f'Version {version.label} is in a version storage, and this process knows none: set ML_VERSION_STORAGE as '
            'it is set where the version was trained.'
        )
    with _alone(folder):
        # Another process may have been quicker.
        with contextlib.suppress(ModelVersionError):
            return verify(folder, version.digest, version.label)
        copy = folder.with_name(f'.fetch-{folder.name}-{uuid.uuid4().hex[:8]}')
        try:
            copy.mkdir(parents=True)
            mark_copy(copy, version.remote)
            stored.fetch(version.remote, version.digest, copy, version.label)
            _swap(copy, folder)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    forget_least_used(but=folder)
    return verify(folder, version.digest, version.label)


def _swap(copy: Path, folder: Path) -> None:
    """Put a whole copy in the place of none or of a damaged one."""
    damaged = folder.with_name(f'.fetch-{folder.name}-damaged-{uuid.uuid4().hex[:8]}')
    with contextlib.suppress(FileNotFoundError):
        folder.rename(damaged)
    copy.rename(folder)
    sync(folder.parent)
    shutil.rmtree(damaged, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process and thread of this machine at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.with_name(f'.{folder.name}.lock'), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
