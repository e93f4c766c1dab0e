"""Where a run keeps what it needs to go on after its process ended; removed with the run."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training.reading import patiently

_PREFIX = 'checkpoint-'


def checkpoint_directory(run: TrainingRun) -> Path:
    """The run's folder, the same at every attempt on this machine; made when it is missing."""
    folder = _folder(run.pk)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_if_ended(run: TrainingRun) -> None:
    """Remove the folder of a run that will not be tried again."""
    ended = TrainingRun.objects.filter(pk=run.pk, state__in=TrainingRun.ENDED)
    if patiently(lambda: ended.exists()):
        shutil.rmtree(_folder(run.pk), ignore_errors=True)


def remove_stale_checkpoints() -> int:
    """Remove folders of runs that ended without doing it themselves.

    Returns:
        How many were removed.
    """
    work = Path(settings.ML_WORK_DIR)
    folders = {folder.name: folder for folder in work.glob(f'{_PREFIX}*')} if work.is_dir() else {}
    if not folders:
        return 0
    alive = TrainingRun.objects.exclude(state__in=TrainingRun.ENDED).values_list('pk', flat=True)
    for name in {_folder(number).name for number in alive}:
        folders.pop(name, None)
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
    return len(folders)


def _folder(run_id: int) -> Path:
    return Path(settings.ML_WORK_DIR) / f'{_PREFIX}{run_id}'
