"""Do one run: build the backend, let it fit, publish what it leaves."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from label_studio.ml_host.enabling.services import check_servable
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.device import training_device
from label_studio.ml_host.training.errors import NotEnabledError
from label_studio.ml_host.training.recorder import Recorder, clean_metrics
from label_studio.ml_host.training.run_log import RunLog, captured
from label_studio.ml_host.training.split import FEWEST_TO_HOLD_OUT
from label_studio.ml_host.training.versions import publish, version_files
from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.exceptions import ModelVersionError, TrainingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.params import resolve_params
from ml_plugins.registry import registry
from ml_plugins.types import VersionFiles


def new_work_directory(run: TrainingRun) -> Path:
    """An empty folder of this attempt alone."""
    work = Path(settings.ML_WORK_DIR) / f'run-{run.pk}-{uuid.uuid4().hex[:8]}'
    work.mkdir(parents=True)
    return work


def open_recorder(run: TrainingRun, log: RunLog, work: Path) -> Recorder:
    """The `Run` object for the backend, with its folders.

    Raises:
        NotEnabledError: The backend was switched off while the run waited.
    """
    from label_studio.ml_host.enabling import gate

    row = gate.active(run.project_id, run.backend)
    if row is None:
        raise NotEnabledError(f'ML backend "{run.backend}" is not enabled on this project any more.')
    cache = Path(settings.ML_CACHE_DIR) / run.backend / str(run.project_id)
    cache.mkdir(parents=True, exist_ok=True)
    directory = work / 'files'
    directory.mkdir()
    return Recorder(run, log, directory, cache, training_device(), _previous(row, log))


def train_and_publish(run: TrainingRun, recorder: Recorder, log: RunLog) -> ModelVersion:
    """Fit and publish.

    Raises:
        TrainingError: Training cannot be done, for a reason that people understand.
        TrainingCancelledError: The run has to stop.
        Exception: Whatever the plugin raises.
    """
    backend_class = registry.get(run.backend).backend_class()
    dataset = DatabaseDataset(run.project, settings.ML_HELD_OUT_SHARE)
    if not len(dataset):
        raise TrainingError('There is nothing to learn from yet: no task of this project has a submitted annotation.')
    held_out = _say_split(dataset, log)
    with captured(log, backend_class.__module__.partition('.')[0]):
        metrics = {'held_out_size': float(held_out), **_fit(backend_class, run, dataset, recorder)}
    # A version that took hours is published even when the worker is stopping; a cancelled one never is.
    if recorder.flags.cancelled.is_set() or recorder.flags.taken_away.is_set():
        recorder.flags.check()
    connection.close_if_unusable_or_obsolete()
    # Publishing ends the run, and an ended run takes no more reports.
    recorder.flush()
    skipped = {item['task'] for item in recorder.skipped}
    trained_on = sum(task_id not in skipped for task_id in dataset.train_task_ids())
    return publish(run, recorder.directory, metrics, trained_on)


def _say_split(dataset: DatabaseDataset, log: RunLog) -> int:
    """Log the split; the number of held-out tasks goes into the metrics, since 0 is why there is no accuracy."""
    total, held_out = len(dataset), dataset.held_out_count()
    if held_out:
        log.write(f'{total} labeled tasks: {total - held_out} to learn from, {held_out} held out for measuring.')
    else:
        log.write(
            f'No held-out labels yet: all {total} labeled tasks are learned from and nothing is measured. '
            f'From {FEWEST_TO_HOLD_OUT} labeled tasks on some are held out.'
        )
    return held_out


def remove_work_directory(work: Path | None) -> None:
    """Remove it with all that is left in it."""
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)


def _fit(
    backend_class: type[MLBackend], run: TrainingRun, dataset: DatabaseDataset, recorder: Recorder
) -> Mapping[str, Any]:
    check_servable(run.project, registry.get(run.backend))
    backend = backend_class(
        BackendContext(
            label_config=parse_label_config(run.project.label_config),
            params=resolve_params(backend_class.params, run.params),
            version=recorder.previous,
            device=recorder.device,
            project_id=run.project_id,
            cache_directory=recorder.cache_directory,
        )
    )
    try:
        returned = backend.fit(dataset, recorder)
        if returned is not None and not isinstance(returned, Mapping):
            raise TypeError(f'fit returned {type(returned).__name__}; it must return metrics by name')
        return {**recorder.metrics, **clean_metrics(returned or {})}
    finally:
        backend.close()


def _previous(row: ProjectBackend, log: RunLog) -> VersionFiles | None:
    if row.in_service is None:
        return None
    try:
        return version_files(row.in_service)
    except ModelVersionError as error:
        # A damaged version is one more reason to train, not one to refuse it.
        log.write(f'Training starts from scratch: {error}')
        return None
