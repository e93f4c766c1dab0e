"""Local copies of stored versions: the least recently used leave when they take too much room."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.versions.manifest import MANIFEST, copy_of, size_of

logger = logging.getLogger(__name__)

# A model that was loaded may read its files a little later, in seconds.
USED_LATELY = 3600.0
# A fetch that began so long ago was broken off.
BROKEN_OFF = 24 * 3600.0


@dataclass(frozen=True)
class _Copy:
    """A local copy; `free_at` is the time from which on it may be removed."""

    folder: Path
    remote: str
    free_at: float
    size: int


def note_use(folder: Path) -> None:
    """Remember that a copy is used now."""
    try:
        os.utime(folder / MANIFEST)
    except OSError as error:
        # A folder that cannot be written to is read all the same.
        logger.debug('The use of %s could not be noted: %s', folder, error)


def forget_least_used(but: Path | None = None) -> int:
    """Remove copies until the others fit into ``ML_VERSION_CACHE_BYTES``, and those whose version is gone.

    What is only on this disk stays, and so does what is in service or was used lately.

    Args:
        but: A folder that stays in any case.

    Returns:
        How many were removed.
    """
    copies = sorted(_copies(), key=lambda copy: copy.free_at)
    total = sum(copy.size for copy in copies)
    known = set(ModelVersion.objects.exclude(remote='').values_list('remote', flat=True))
    serving = set(ProjectBackend.objects.exclude(in_service=None).values_list('in_service__remote', flat=True))
    removed = 0
    for copy in copies:
        is_needed = copy.folder == but or copy.remote in serving or time.time() < copy.free_at
        if is_needed or (copy.remote in known and total <= settings.ML_VERSION_CACHE_BYTES):
            continue
        shutil.rmtree(copy.folder, ignore_errors=True)
        total -= copy.size
        removed += 1
    return removed


def _copies() -> Iterator[_Copy]:
    for folder in Path(settings.ML_VERSION_DIR).glob('*/*/*'):
        key = copy_of(folder)
        if key is None:
            continue
        is_fetch = folder.name.startswith('.')
        try:
            used_at = (folder if is_fetch else folder / MANIFEST).stat().st_mtime
        except OSError:
            continue
        yield _Copy(
            folder,
            remote='' if is_fetch else key,
            free_at=used_at + (BROKEN_OFF if is_fetch else USED_LATELY),
            size=size_of(folder),
        )
