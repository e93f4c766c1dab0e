"""What the database says about a project's tasks: which lack labels, which have some, and what was said of those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from django.utils import timezone

from label_studio.ml_host.models import SampledTask
from label_studio.ml_host.prelabeling.courtesy import give_way
from label_studio.ml_host.training.scanning import submitted

# Strategies ask what the labels cover and which labels were given; so many of each are enough to tell.
MOST_LABELED = 50_000
MOST_ANSWERED = 2_000
_PAGE = 10_000
_ANSWERS_PAGE = 500


def unlabeled(project_id: int) -> np.ndarray:
    """Tasks that nobody has labeled yet, ascending."""
    return _numbers(_tasks(project_id).filter(is_labeled=False, total_annotations=0).order_by('id'))


def newest(project_id: int) -> int:
    """The newest task that lacks annotations; 0 when there is none. An index seek."""
    found = _tasks(project_id).filter(is_labeled=False).order_by('-id').values_list('id', flat=True)
    return found.first() or 0


def labeled(project_id: int) -> np.ndarray:
    """Tasks with a submitted annotation, ascending; those labeled last where there are very many."""
    from label_studio.ml_host.upstream import Annotation

    given = Annotation.objects.filter(project_id=project_id, was_cancelled=False).order_by('-id')
    found = given.values_list('task_id', flat=True)[:MOST_LABELED].iterator(chunk_size=_PAGE)
    return np.unique(np.fromiter(_politely(found), dtype=np.int64))


def taken(project_id: int) -> np.ndarray:
    """Tasks that wait in the queue, or that somebody is labeling."""
    from label_studio.ml_host.upstream import TaskLock

    waiting = SampledTask.objects.filter(project_id=project_id, served_at=None).values_list('task_id', flat=True)
    return np.union1d(np.fromiter(waiting, dtype=np.int64), _locked(TaskLock, project_id))


def locked(project_id: int) -> np.ndarray:
    """Tasks that somebody is labeling."""
    from label_studio.ml_host.upstream import TaskLock

    return np.unique(_locked(TaskLock, project_id))


def answers(task_ids: np.ndarray) -> dict[str, list[list[str]]]:
    """Labels of labeled tasks, by control; an empty list where a task has none with that control, or is an old one."""
    found: dict[str, list[list[str]]] = {}
    first = max(0, len(task_ids) - MOST_ANSWERED)
    for start in range(first, len(task_ids), _ANSWERS_PAGE):
        give_way()
        page = task_ids[start : start + _ANSWERS_PAGE].tolist()
        given = submitted(page)
        for row, task_id in enumerate(page, start):
            for control, labels in _labels(given.get(task_id, ())):
                found.setdefault(control, [[] for _ in task_ids])[row] = labels
    return found


def _labels(annotations: Iterable[Any]) -> Iterator[tuple[str, list[str]]]:
    given = list(annotations)
    truth = [item for item in given if item.ground_truth]
    for chosen in (truth or given)[-1:]:
        for control in {str(region.get('from_name')) for region in chosen.result}:
            if labels := chosen.labels(control):
                yield control, labels


def _locked(locks: Any, project_id: int) -> np.ndarray:
    now = timezone.now()
    found = locks.objects.filter(expire_at__gt=now, task__project_id=project_id).values_list('task_id', flat=True)
    return np.fromiter(found, dtype=np.int64)


def _numbers(tasks: Any) -> np.ndarray:
    return np.fromiter(_politely(tasks.values_list('id', flat=True).iterator(chunk_size=_PAGE)), dtype=np.int64)


def _politely(numbers: Iterable[int]) -> Iterator[int]:
    for place, number in enumerate(numbers):
        if place % _PAGE == 0:
            give_way()
        yield number


def _tasks(project_id: int) -> Any:
    from label_studio.ml_host.upstream import Task

    return Task.objects.filter(project_id=project_id)
