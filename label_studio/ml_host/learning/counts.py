"""How far the labels of a project are from those that a backend's latest training saw: counted, never kept count of.

A counter would have to be raised in the request of every annotator, and would be wrong after a crash, an import past
the signals, or a restored backup. The database knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from label_studio.ml_host.models import ProjectBackend, TrainingRun

State = TrainingRun.State


@dataclass(frozen=True)
class Standing:
    """The labels of a project, as seen from a backend's latest training.

    Attributes:
        labels: Submitted annotations now.
        before: Those that the latest training saw; 0 when there was none.
        new: Submitted since.
        changed: Changed since.
        deleted: Deleted or skipped since.
        latest_run: Number of the latest training run; None when there was none.
        since: When that one began; None when there was none.
        began_at: When the latest training that began by itself began.
        waits: A run waits already, or has not looked at the labels yet: it will see everything.
    """

    labels: int = 0
    before: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0
    latest_run: int | None = None
    since: datetime | None = None
    began_at: datetime | None = None
    waits: bool = False

    @property
    def changes(self) -> int:
        """New, changed and deleted labels together."""
        return self.new + self.changed + self.deleted


@dataclass(frozen=True)
class _Seen:
    """What a training saw: everything up to a number, as it was at a time.

    Attributes:
        began: When the run took its place.
        taken: When it began to read; labels changed from then on may not be in it.
        newest: Highest annotation number; None when it ended before it looked.
        annotations: How many there were.
    """

    began: datetime
    taken: datetime
    newest: int | None = None
    annotations: int = 0


def standing_of(row: ProjectBackend) -> Standing:
    """Count; a training that failed or was cancelled has seen its labels, too, or it would be tried for ever."""
    runs = list(_runs(row).order_by('-id')[:3])
    # One that repeats an old training has old labels, and says nothing about the new ones.
    latest = next((run for run in runs if run.repeats_id is None), None) or _runs(row).filter(repeats=None).last()
    waits = any(run.state == State.QUEUED for run in runs)
    if latest is None:
        labels = _annotations(row.project_id).count()
        return Standing(labels=labels, new=labels, waits=waits)
    seen = _seen(latest)
    return Standing(
        **_counted(row.project_id, seen),
        latest_run=latest.pk,
        since=seen.began,
        began_at=_began_at(row),
        waits=waits or (latest.state == State.RUNNING and seen.newest is None),
    )


def changed_labels(row: ProjectBackend) -> int:
    """Labels given, changed or deleted since the latest training looked."""
    return standing_of(row).changes


def _runs(row: ProjectBackend) -> Any:
    found = TrainingRun.objects.filter(project=row.project_id, backend=row.backend)
    return found.select_related('snapshot').defer('snapshot__content').order_by('id')


def _seen(run: TrainingRun) -> _Seen:
    began = run.started_at or run.ended_at or run.created_at
    if run.snapshot is None:
        return _Seen(began, began)
    snapshot = run.snapshot
    return _Seen(min(began, snapshot.created_at), snapshot.created_at, snapshot.newest_annotation, snapshot.annotations)


def _began_at(row: ProjectBackend) -> datetime | None:
    runs = TrainingRun.objects.filter(project=row.project_id, backend=row.backend, repeats=None)
    run = runs.exclude(trigger='').order_by('-id').first()
    return (run.started_at or run.created_at) if run is not None else None


def _annotations(project_id: int) -> Any:
    from label_studio.ml_host.upstream import Annotation

    return Annotation.objects.filter(project_id=project_id, was_cancelled=False).order_by()


def _counted(project_id: int, seen: _Seen) -> dict[str, int]:
    is_old = Q(id__lte=seen.newest) if seen.newest is not None else Q(created_at__lte=seen.began)
    # One that was given while the run read its labels is in it as it was given, as far as anybody knows.
    is_changed = Q(created_at__lte=seen.taken, updated_at__gt=seen.taken)
    found = _annotations(project_id).aggregate(
        labels=Count('id'),
        old=Count('id', filter=is_old),
        changed=Count('id', filter=is_old & is_changed),
    )
    labels, old = found['labels'], found['old']
    # How many a run saw that ended before it looked is not known: none are taken to be gone.
    before = old if seen.newest is None else seen.annotations
    # Lower numbers may be committed after higher ones; those are new.
    late = max(0, old - before)
    return {
        'labels': labels,
        'before': before,
        'new': labels - old + late,
        'changed': found['changed'],
        'deleted': max(0, before - old),
    }
