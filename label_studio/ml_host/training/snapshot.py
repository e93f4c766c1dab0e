"""Which annotations a run learns from: written down when it starts, read again when it is repeated."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.models import DatasetSnapshot, ModelVersion, TrainingRun
from label_studio.ml_host.training.content import SnapshotRows, pack, unpack
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.lifecycle import owned
from label_studio.ml_host.training.reading import patiently

__all__ = ['SnapshotRows', 'dataset_of', 'read', 'take']


def read(snapshot: DatasetSnapshot) -> SnapshotRows:
    """What a snapshot holds."""
    return unpack(snapshot.content)


def dataset_of(run: TrainingRun, share: float, annotators: str, previous: ModelVersion | None) -> DatabaseDataset:
    """The run's dataset, with its snapshot taken: of now, or the one that an earlier attempt or version had.

    Args:
        run: The running run.
        share: Share of tasks that are held out.
        annotators: What is learned from a task with several annotations.
        previous: The version that training starts from.
    """
    before = read(previous.snapshot) if previous is not None and previous.snapshot is not None else None
    if run.snapshot is not None:
        return DatabaseDataset(run.project, share, run.snapshot.annotators, read(run.snapshot), before)
    # What is submitted while it is read counts for the next run, so the time before reading is what is written down.
    begun = timezone.now()
    dataset = DatabaseDataset(run.project, share, annotators, before=before)
    take(run, dataset, begun, previous.number if previous is not None else None)
    return dataset


def take(
    run: TrainingRun, dataset: DatabaseDataset, begun: datetime | None = None, previous: int | None = None
) -> DatasetSnapshot:
    """Write down what the dataset holds, as the run's snapshot.

    Args:
        run: The running run.
        dataset: What it learns from.
        begun: When reading began; what was changed later is not certain to be in it.
        previous: Number of the version that training starts from.
    """
    rows = replace(dataset.rows, previous=previous)
    values: dict[str, Any] = {
        'digest': rows.digest,
        'content': pack(rows),
        'labeled': len(rows.task_ids),
        'held_out': len(rows.held_out_ids),
        'annotations': len(rows.annotations),
        'newest_annotation': int(rows.annotations.max(initial=0)),
        'annotators': dataset.annotators,
    }
    run.snapshot = patiently(lambda: _store(run, values, begun or timezone.now()))
    return run.snapshot


def _store(run: TrainingRun, values: dict[str, Any], begun: datetime) -> DatasetSnapshot:
    with transaction.atomic():
        snapshot = DatasetSnapshot.objects.create(project_id=run.project_id, backend=run.backend, **values)
        # The field fills itself with the time of writing.
        DatasetSnapshot.objects.filter(pk=snapshot.pk).update(created_at=begun)
        snapshot.created_at = begun
        owned(run).update(snapshot=snapshot)
        _forget_unused(run, snapshot)
    return snapshot


def _forget_unused(run: TrainingRun, newest: DatasetSnapshot) -> None:
    """Remove snapshots of ended runs that made no version; of trainings that always fail they would pile up."""
    old = DatasetSnapshot.objects.filter(project_id=run.project_id, backend=run.backend, pk__lt=newest.pk)
    waiting = TrainingRun.objects.filter(
        project_id=run.project_id, backend=run.backend, state__in=('queued', 'running'), snapshot__isnull=False
    )
    old.filter(versions__isnull=True).exclude(pk__in=waiting.values('snapshot')).delete()
