"""Keep what another Label Studio labels in its shadow: tasks and annotations by their numbers there."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from label_studio.ml_host.learning import watcher
from label_studio.ml_host.models import RemoteProject
from label_studio.ml_host.protocol.errors import MessageError
from label_studio.ml_host.protocol.messages import RemoteTask, number_of

# SQLite takes a few hundred parameters a statement gladly.
SLICE = 300
_NAMES = uuid.UUID('5b0f2d0c-52c5-4a0e-8f0a-6a1d3d0c7f11')


@dataclass(frozen=True)
class RemoteAnnotation:
    """An annotation of the other Label Studio."""

    number: int
    task: int
    result: list[Any]
    was_cancelled: bool = False
    ground_truth: bool = False


def annotation_of(item: Mapping[str, Any], task: int | None = None) -> RemoteAnnotation:
    """Read an annotation as it is sent. Raises `MessageError`."""
    result = item.get('result')
    if not isinstance(result, list):
        raise MessageError('"annotation.result" must be a list of regions.')
    number = task if task is not None else number_of(item, 'task')
    cancelled, truth = bool(item.get('was_cancelled')), bool(item.get('ground_truth'))
    return RemoteAnnotation(number_of(item), number, result, cancelled, truth)


def keep(remote: RemoteProject, tasks: Iterable[RemoteTask], annotations: Iterable[RemoteAnnotation]) -> None:
    """Write tasks and annotations, new ones and changed ones."""
    annotations = list(annotations)
    with transaction.atomic():
        rows = _keep_tasks(remote, {task.number: task for task in tasks if task.number is not None})
        _keep_annotations(remote, rows, annotations)
        _count(task.pk for task in rows.values())
    if annotations:
        watcher.note(remote.project_id)


def forget_annotations(remote: RemoteProject, numbers: Collection[int]) -> int:
    """Delete annotations that were deleted there; returns how many there were."""
    from label_studio.ml_host.upstream import Annotation

    gone, tasks = 0, set()
    for part in _slices([_name(remote, number) for number in numbers]):
        with transaction.atomic():
            found = Annotation.objects.filter(project=remote.project_id, unique_id__in=part)
            tasks |= set(found.values_list('task_id', flat=True))
            gone += found.delete()[1].get(Annotation._meta.label, 0)
            _count(tasks)
    if gone:
        watcher.note(remote.project_id)
    return gone


def forget_tasks(remote: RemoteProject, numbers: Collection[int]) -> None:
    """Delete tasks that were deleted there, with their annotations."""
    from label_studio.ml_host.upstream import Task

    for part in _slices(list(numbers)):
        Task.objects.filter(project=remote.project_id, inner_id__in=part).delete()
    watcher.note(remote.project_id)


def forget_others(remote: RemoteProject, numbers: Collection[int]) -> int:
    """Delete annotations whose numbers are not among these: all that there are in the other Label Studio now."""
    from label_studio.ml_host.upstream import Annotation

    known = Annotation.objects.filter(project=remote.project_id, import_id__isnull=False)
    return forget_annotations(remote, set(known.values_list('import_id', flat=True)) - set(numbers))


def _keep_tasks(remote: RemoteProject, tasks: Mapping[int, RemoteTask]) -> dict[int, Any]:
    from label_studio.ml_host.upstream import Task

    rows: dict[int, Any] = {}
    for part in _slices(list(tasks)):
        found = Task.objects.filter(project=remote.project_id, inner_id__in=part)
        known = {task.inner_id: task for task in found}
        changed = [task for number, task in known.items() if task.data != dict(tasks[number].data)]
        for task in changed:
            task.data = dict(tasks[task.inner_id].data)
        Task.objects.bulk_update(changed, ['data'])
        new = [
            Task(project_id=remote.project_id, inner_id=number, data=dict(tasks[number].data))
            for number in part
            if number not in known
        ]
        rows |= known | {task.inner_id: task for task in Task.objects.bulk_create(new)}
    return rows


def _keep_annotations(remote: RemoteProject, rows: Mapping[int, Any], annotations: list[RemoteAnnotation]) -> None:
    from label_studio.ml_host.upstream import Annotation

    sent = {_name(remote, item.number): item for item in annotations if item.task in rows}
    for part in _slices(list(sent)):
        known = {row.unique_id: row for row in Annotation.objects.filter(unique_id__in=part)}
        for name, row in known.items():
            _fill(row, sent[name])
        Annotation.objects.bulk_update(known.values(), ['result', 'was_cancelled', 'ground_truth'])
        new = []
        for name in part:
            if name not in known:
                item = sent[name]
                row = Annotation(
                    project_id=remote.project_id, task=rows[item.task], unique_id=name, import_id=item.number
                )
                _fill(row, item)
                new.append(row)
        Annotation.objects.bulk_create(new)


def _fill(row: Any, item: RemoteAnnotation) -> None:
    row.result, row.was_cancelled, row.ground_truth = item.result, item.was_cancelled, item.ground_truth


def _count(task_ids: Iterable[int]) -> None:
    """Bring the tasks' counters up to date, as upstream does row by row."""
    from label_studio.ml_host.upstream import Annotation, Task

    def counted(cancelled: bool) -> Any:
        own = Annotation.objects.filter(task=OuterRef('pk'), was_cancelled=cancelled).order_by()
        return Coalesce(Subquery(own.values('task').annotate(count=Count('pk')).values('count')), 0)

    for part in _slices(list(task_ids)):
        tasks = Task.objects.filter(pk__in=part)
        tasks.update(total_annotations=counted(False), cancelled_annotations=counted(True))
        tasks.filter(total_annotations__gt=0).update(is_labeled=True)
        tasks.filter(Q(total_annotations=0)).update(is_labeled=False)


def _name(remote: RemoteProject, number: int) -> uuid.UUID:
    """The annotation's name here: the same each time it comes, so that it is never kept twice."""
    return uuid.uuid5(_NAMES, f'{remote.pk}/{remote.created_at.timestamp()}/{number}')


def _slices(items: list[Any]) -> Iterable[list[Any]]:
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))
