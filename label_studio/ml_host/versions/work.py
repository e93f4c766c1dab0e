"""Work directories of trainings and publications, and how a folder gets to its place in one step."""

from __future__ import annotations

import errno
import shutil
import time
import uuid
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.models import ModelVersion, TrainingRun
from label_studio.ml_host.versions import remote
from label_studio.ml_host.versions.manifest import copy_of

# An upload that was begun so long ago was broken off, in seconds.
BROKEN_OFF = 24 * 3600.0


def new_staging(run: TrainingRun) -> Path:
    """An empty folder in which one publication is prepared."""
    return _new(f'publish-{run.pk}')


def new_upload() -> Path:
    """An empty folder in which an uploaded version is prepared."""
    return _new('upload-0')


def remove_stale_work() -> int:
    """Remove work directories of runs that are not running, and of old uploads; what ended processes left behind.

    Returns:
        How many were removed.
    """
    work = Path(settings.ML_WORK_DIR)
    running = set(TrainingRun.objects.filter(state=TrainingRun.State.RUNNING).values_list('pk', flat=True))
    count = 0
    for folder in work.iterdir() if work.is_dir() else ():
        if _is_stale(folder, running):
            _remove(folder)
            count += 1
    return count


def _new(name: str) -> Path:
    folder = Path(settings.ML_WORK_DIR) / f'{name}-{uuid.uuid4().hex[:8]}'
    folder.mkdir(parents=True)
    return folder


def _is_stale(folder: Path, running: set[int]) -> bool:
    kind, _, rest = folder.name.partition('-')
    number = rest.partition('-')[0]
    if kind == 'upload':
        return time.time() - folder.stat().st_mtime > BROKEN_OFF
    return kind in ('run', 'publish') and number.isdigit() and int(number) not in running


def _remove(folder: Path) -> None:
    """Remove a folder, and what was put into the version storage for it if that has not become a version."""
    key = copy_of(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if key and not ModelVersion.objects.filter(remote=key).exists():
        stored = remote.configured()
        if stored is not None:
            stored.remove(key)


def move(source: Path, target: Path) -> None:
    """Rename a folder; between disks, copy it under another name first, so that the last step is a rename again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(f'.{target.name}-{uuid.uuid4().hex[:8]}')
        try:
            shutil.copytree(source, copy, symlinks=True)
            copy.rename(target)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        shutil.rmtree(source, ignore_errors=True)
