"""Publish what a run produced: all of it or nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils import timezone

from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import DatasetSnapshot, Evaluation, ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.quality.examination import Examination
from label_studio.ml_host.training.lifecycle import State, owned
from label_studio.ml_host.versions import service
from label_studio.ml_host.versions.local import forget_least_used
from label_studio.ml_host.versions.shelving import Shelving
from label_studio.ml_host.versions.work import move, new_staging
from ml_plugins.exceptions import TrainingCancelledError
from ml_plugins.types import VersionFiles

logger = logging.getLogger(__name__)

# What nobody examined goes into service, as the only thing there is to go by is that somebody wanted it.
UNEXAMINED = Examination(serve=True, reason='')


def publish(
    run: TrainingRun,
    work_directory: Path,
    metrics: Mapping[str, Any],
    trained_on: int,
    snapshot: DatasetSnapshot | None = None,
    examination: Examination | None = None,
    previous: VersionFiles | None = None,
) -> ModelVersion:
    """Turn a work directory into the next version and finish the run: all of it or nothing.

    Args:
        run: The running run.
        work_directory: What ``fit`` left; it is moved.
        metrics: What ``fit`` returned.
        trained_on: Number of labeled tasks trained on.
        snapshot: What it was trained on.
        examination: Its score, and whether it goes into service; None to put it there unexamined.
        previous: The version that ``fit`` started from.

    Raises:
        TrainingCancelledError: The run is not this process's any more.
        TrainingError: The directory holds something else than plain files.
        VersionStorageError: The storage of versions does not take it.
    """
    judged = examination or UNEXAMINED
    shelving = Shelving(new_staging(run), run.project_id, run.backend)

    def make(columns: dict[str, Any], row: ProjectBackend | None) -> ModelVersion:
        version = ModelVersion.objects.create(
            **columns,
            **_judgement(judged),
            metrics=dict(metrics),
            params=run.params,
            label_config=run.project.label_config,
            trained_on=trained_on,
            trigger=run.trigger,
            snapshot=snapshot,
            previous=_version_of(run, previous),
        )
        _finish(run, version, metrics)
        if judged.answers is not None:
            Evaluation.objects.create(version=version, content=judged.answers)
        _settle(row, version, judged, run)
        return version

    try:
        move(Path(work_directory), shelving.files)
        shelving.prepare()
        version = shelving.record(make)
    except BaseException:
        shelving.abandon()
        raise
    _make_room(run, version)
    return version


def _judgement(judged: Examination) -> dict[str, Any]:
    state = ModelVersion.State.FAILED if judged.failed else ModelVersion.State.CANDIDATE
    columns = {'reason': judged.reason, 'state': state}
    if judged.score is not None:
        score = judged.score
        columns |= {'score': score.value, 'score_low': score.low, 'score_high': score.high, 'scored_on': score.tasks}
    return columns


def _finish(run: TrainingRun, version: ModelVersion, metrics: Mapping[str, Any]) -> None:
    ended = owned(run).update(state=State.FINISHED, version=version, metrics=dict(metrics), ended_at=timezone.now())
    if not ended:
        raise TrainingCancelledError('The run was taken away from this process.')


def _settle(row: ProjectBackend | None, version: ModelVersion, judged: Examination, run: TrainingRun) -> None:
    from label_studio.ml_host.enabling import services

    if row is not None and judged.serve and not judged.failed:
        service.serve(row, version, run.created_by)
    elif not judged.serve or judged.failed:
        detail = {'version': version.number, 'reason': judged.reason}
        services.audit(version.project, version.backend, 'held_back', run.created_by, **detail)


def _version_of(run: TrainingRun, previous: VersionFiles | None) -> ModelVersion | None:
    if previous is None:
        return None
    return ModelVersion.objects.filter(project=run.project_id, backend=run.backend, number=previous.number).first()


def _make_room(run: TrainingRun, version: ModelVersion) -> None:
    """Remove what is too old; that must not make a failure of a training that has ended well."""
    try:
        row = ProjectBackend.objects.filter(project=run.project_id, backend=run.backend).first()
        kept = LearningSettings.of(row.learning if row is not None else {}).keep
        service.retain(run.project_id, run.backend, kept)
        if version.remote:
            forget_least_used()
    except Exception:
        logger.exception('Old versions of %s on project %s could not be removed', run.backend, run.project_id)
