"""The one writer of predictions: few statements, no duplicates, and counters as upstream would leave them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.models import ProjectBackend, version_label
from label_studio.ml_host.prelabeling.statements import as_text, count_again, insert_missing, replace_older
from label_studio.ml_host.sampling import feeding
from ml_plugins.types import Prediction

# Follows the name of a version that is not in service any more, where its prediction is shown.
OLD = ' (old version)'


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


def store(source: Source, predictions: Iterable[tuple[int, Prediction]], user: Any = None) -> list:
    """Store predictions by task id; tasks that have one of this source, or are gone, are left out.

    ``Task.total_predictions``, ``updated_at`` and ``updated_by`` end as upstream's row-by-row path leaves them
    (``tasks.models.Prediction.save`` and its signals), at two statements instead of about forty a prediction, and
    a third one where rows have to be locked. Concurrent callers wait for each other, task by task.

    Args:
        source: What made them.
        predictions: Task ids and what the backend says; the last one counts for a task that comes twice.
        user: Who asked for them; None leaves ``updated_by`` as it is.

    Returns:
        The rows that were stored, in no particular order.
    """
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    predictions = list(predictions)
    rows = as_rows(predictions)
    now = timezone.now()
    feeding.keep_soon(source.project_id, source.label, predictions)
    stored = write(source, rows, now, user)
    return [_instance(StoredPrediction, number, rows.contents[task_id], source, now) for number, task_id in stored]


@dataclass(frozen=True)
class Rows:
    """Predictions as they are stored.

    Attributes:
        contents: Task, result and score, by task.
        text: The same for the database.
    """

    contents: Mapping[int, tuple[int, list, float | None]]
    text: str


def as_rows(predictions: Iterable[tuple[int, Prediction]]) -> Rows:
    """Prepare predictions for `write`; this takes longer than writing them and needs no lock."""
    contents = {task_id: (task_id, prediction.result(), prediction.score) for task_id, prediction in predictions}
    return Rows(contents, as_text(contents.values()))


def write(source: Source, rows: Rows, now: datetime, user: Any, replaces: bool = False) -> list[tuple[int, int]]:
    """Insert what is missing and count: what `store` does, for callers that need no rows.

    Args:
        replaces: Let predictions take the place of those that another version of the backend made. A model that
            learns all day would else leave as many predictions of each task as it had versions.

    Returns:
        Number and task of each row that is new or was replaced.
    """
    from label_studio.ml_host.upstream import Annotation
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    if not rows.contents:
        return []
    fixed = {
        'project': source.project_id,
        'model': source.connection_id,
        'model_version': source.label,
        'created_at': now,
        'updated_at': now,
    }
    with transaction.atomic(savepoint=False):
        _lock(rows.contents)
        stored = replace_older(StoredPrediction, Annotation, fixed, rows.text) if replaces else []
        stored += insert_missing(StoredPrediction, fixed, rows.text)
        _count([task_id for _, task_id in stored], now, user)
    return stored


def as_shown(predictions: Sequence, source: Source) -> list:
    """Predictions of a task as a person may see them; what is stored stays as it is.

    Those of a backend's older versions are left out where there is one of the version in service, and else say that
    they are old.
    """
    if any(item.model_version == source.label for item in predictions):
        return [item for item in predictions if not _is_stale(item, source)]
    return [_marked(item) if _is_stale(item, source) else item for item in predictions]


def _is_stale(item: Any, source: Source) -> bool:
    is_own = item.model_id is not None and item.model_id == source.connection_id
    return is_own and item.model_version != source.label


def _marked(item: Any) -> Any:
    shown = copy.copy(item)
    shown.model_version = f'{item.model_version}{OLD}'
    return shown


def _lock(task_ids: Iterable[int]) -> None:
    """Let nobody else write predictions of these tasks until the transaction ends.

    SQLite's transactions hold the only write lock from their first statement on.
    """
    from label_studio.ml_host.upstream import Task

    connection = transaction.get_connection()
    if connection.features.has_select_for_update:
        # In one order for everybody, or two callers would wait for each other. Annotations may still be added.
        locked = Task.objects.select_for_update(no_key=connection.features.has_select_for_no_key_update)
        list(locked.filter(pk__in=list(task_ids)).order_by('pk').values_list('pk', flat=True))


def _count(task_ids: list[int], now: datetime, user: Any) -> None:
    from label_studio.ml_host.upstream import Prediction as StoredPrediction
    from label_studio.ml_host.upstream import Task

    changes = {'updated_by': user.pk} if getattr(user, 'pk', None) else {}
    if task_ids:
        count_again(Task, StoredPrediction, task_ids, {'updated_at': now, **changes})


def _instance(model: Any, number: int, content: tuple[int, list, float | None], source: Source, now: datetime) -> Any:
    task_id, result, score = content
    row = model(
        id=number,
        task_id=task_id,
        project_id=source.project_id,
        model_id=source.connection_id,
        model_version=source.label,
        result=result,
        score=score,
        created_at=now,
        updated_at=now,
    )
    row._state.adding = False
    row._state.db = 'default'
    return row
