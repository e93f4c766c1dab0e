"""Write predictions into upstream's table: few statements, and counters as upstream would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from label_studio.ml_host.models import ProjectBackend, version_label
from ml_plugins.types import Prediction


@dataclass(frozen=True)
class Source:
    """What made a prediction.

    Attributes:
        project_id: The project.
        connection_id: Upstream's row of the backend; fills ``Prediction.model``.
        label: Name of the version; fills ``Prediction.model_version``.
    """

    project_id: int
    connection_id: int | None
    label: str


def source_of(row: ProjectBackend) -> Source:
    """The source that an enabled backend's predictions carry now."""
    return Source(row.project_id, row.connection_id, current_label(row))


def current_label(row: ProjectBackend) -> str:
    """Name of the version in service."""
    return version_label(row.backend, row.in_service.number if row.in_service else None)


def store(source: Source, predictions: Iterable[tuple[int, Prediction]]) -> list:
    """Store predictions by task id: one insert and one update for all of them.

    ``Task.total_predictions`` and ``Task.updated_at`` end as upstream's row-by-row path leaves them
    (``tasks.models.Prediction.save`` and its signals), at two statements instead of about forty a prediction.

    Returns:
        The stored rows.
    """
    from label_studio.ml_host.upstream import Prediction as StoredPrediction
    from label_studio.ml_host.upstream import Task

    rows = StoredPrediction.objects.bulk_create(
        StoredPrediction(
            task_id=task_id,
            project_id=source.project_id,
            model_id=source.connection_id,
            model_version=source.label,
            result=prediction.result(),
            score=prediction.score,
        )
        for task_id, prediction in predictions
    )
    if rows:
        count = (
            StoredPrediction.objects.filter(task_id=OuterRef('pk'))
            .order_by()
            .values('task_id')
            .annotate(number=Count('pk'))
            .values('number')
        )
        Task.objects.filter(pk__in=[row.task_id for row in rows]).update(
            total_predictions=Coalesce(Subquery(count, output_field=IntegerField()), 0), updated_at=timezone.now()
        )
    return rows


def without_stale(predictions: Sequence, source: Source) -> list:
    """Predictions of a task, without those that an older version of the same backend made."""
    return [
        item
        for item in predictions
        if item.model_version == source.label or item.model_id is None or item.model_id != source.connection_id
    ]
