"""Do one run: build the backend, let it fit, measure and publish what it leaves."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from label_studio.ml_host.enabling.services import check_servable
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.quality.examination import Examination
from label_studio.ml_host.training.checkpoints import checkpoint_directory
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.device import training_device
from label_studio.ml_host.training.errors import NotEnabledError
from label_studio.ml_host.training.lifecycle import owned
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.recorder import Recorder, clean_metrics
from label_studio.ml_host.training.repeating import check_repeatable
from label_studio.ml_host.training.run_log import RunLog, captured
from label_studio.ml_host.training.seeding import seed_everything
from label_studio.ml_host.training.snapshot import dataset_of
from label_studio.ml_host.training.split import FEWEST_TO_HOLD_OUT
from label_studio.ml_host.training.start import previous_files
from label_studio.ml_host.versions.publishing import publish
from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.exceptions import TrainingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.params import resolve_params
from ml_plugins.registry import registry


def new_work_directory(run: TrainingRun) -> Path:
    """An empty folder of this attempt alone."""
    work = Path(settings.ML_WORK_DIR) / f'run-{run.pk}-{uuid.uuid4().hex[:8]}'
    work.mkdir(parents=True)
    return work


def open_recorder(run: TrainingRun, log: RunLog, work: Path) -> Recorder:
    """The `Run` object for the backend, with its folders.

    Raises:
        NotEnabledError: The backend was switched off while the run waited.
        TrainingError: A version cannot be trained again, since what it started from is gone.
    """
    row = _active(run)
    cache = Path(settings.ML_CACHE_DIR) / run.backend / str(run.project_id)
    cache.mkdir(parents=True, exist_ok=True)
    directory = work / 'files'
    directory.mkdir()
    checkpoints = checkpoint_directory(run)
    return Recorder(run, log, directory, cache, checkpoints, training_device(), previous_files(run, row, log))


def train_and_publish(run: TrainingRun, recorder: Recorder, log: RunLog) -> ModelVersion:
    """Fit, measure and publish.

    Raises:
        TrainingError: Training cannot be done, for a reason that people understand.
        TrainingCancelledError: The run has to stop.
        Exception: Whatever the plugin raises.
    """
    from label_studio.ml_host.protocol.fetching import before_training

    before_training(run, log.write)
    backend_class = registry.get(run.backend).backend_class()
    dataset = _dataset(run, recorder)
    if not len(dataset):
        raise TrainingError('There is nothing to learn from yet: no task of this project has a submitted annotation.')
    held_out = _say_split(dataset, log)
    with captured(log, backend_class.__module__.partition('.')[0]):
        metrics = {'held_out_size': float(held_out), **_fit(backend_class, run, dataset, recorder)}
        _check_cancelled(recorder)
        examination = _examine(run, dataset, recorder)
    _check_cancelled(recorder)
    # What took hours must not be lost because the database is away for a moment.
    patiently(lambda: owned(run).exists())
    # Publishing ends the run, and an ended run takes no more reports.
    recorder.flush()
    unused = {item['task'] for item in recorder.skipped} | dataset.left_out
    trained_on = sum(task_id not in unused for task_id in dataset.train_task_ids())
    return publish(
        run,
        recorder.directory,
        metrics,
        trained_on,
        snapshot=run.snapshot,
        examination=examination,
        previous=recorder.previous,
    )


def _active(run: TrainingRun) -> ProjectBackend:
    from label_studio.ml_host.enabling import gate

    row = patiently(lambda: gate.active(run.project_id, run.backend))
    if row is None:
        raise NotEnabledError(f'ML backend "{run.backend}" is not enabled on this project any more.')
    return row


def _dataset(run: TrainingRun, recorder: Recorder) -> DatabaseDataset:
    learning = LearningSettings.of(_active(run).learning)
    previous = None
    if recorder.previous is not None:
        versions = ModelVersion.objects.filter(project_id=run.project_id, backend=run.backend)
        number = recorder.previous.number
        previous = patiently(lambda: versions.select_related('snapshot').get(number=number))
    if run.repeats is not None:
        check_repeatable(run.repeats)
    elif run.snapshot is not None and run.snapshot.created_at < run.created_at:
        raise TrainingError('The version that was to be trained again was deleted meanwhile.')
    return dataset_of(run, settings.ML_HELD_OUT_SHARE, learning.annotators, previous)


def _examine(run: TrainingRun, dataset: DatabaseDataset, recorder: Recorder) -> Examination:
    """Measure what `fit` left, and decide whether it goes into service."""
    from label_studio.ml_host.quality.examine import examine

    # A backend that was switched off while it trained gets its version all the same.
    rows = ProjectBackend.objects.select_related('in_service')
    row = patiently(lambda: rows.get(project=run.project_id, backend=run.backend))
    skipped = {item['task'] for item in recorder.skipped} | dataset.left_out
    rule = LearningSettings.of(row.learning).rule
    return examine(run, dataset, recorder.directory, recorder, rule, row.in_service, skipped)


def _check_cancelled(recorder: Recorder) -> None:
    """A version that took hours is published even when the worker is stopping; a cancelled one never is."""
    if recorder.flags.cancelled.is_set() or recorder.flags.taken_away.is_set():
        recorder.flags.check()


def _say_split(dataset: DatabaseDataset, log: RunLog) -> int:
    """Log the split; the number of held-out tasks goes into the metrics, since 0 is why there is no accuracy."""
    total, held_out = len(dataset), dataset.held_out_count()
    if held_out:
        log.write(f'{total} labeled tasks: {total - held_out} to learn from, {held_out} held out for measuring.')
    else:
        why = (
            f'From {FEWEST_TO_HOLD_OUT} labeled tasks on some are held out.'
            if total < FEWEST_TO_HOLD_OUT
            else 'None of the tasks that are to be held out is labeled.'
        )
        log.write(f'No held-out labels yet: all {total} labeled tasks are learned from and nothing is measured. {why}')
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
    seed_everything(run.seed)
    try:
        returned = backend.fit(dataset, recorder)
        if returned is not None and not isinstance(returned, Mapping):
            raise TypeError(f'fit returned {type(returned).__name__}; it must return metrics by name')
        return {**recorder.metrics, **clean_metrics(returned or {})}
    finally:
        backend.close()
