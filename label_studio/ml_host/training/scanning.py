"""Read every submitted annotation of a project once: what a snapshot is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from label_studio.ml_host.training.annotators import learned_from
from label_studio.ml_host.training.content import SnapshotRows, content_hash, rows_of, text_hash
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.split import (
    FEWEST_TO_HOLD_OUT,
    Label,
    labels_of,
    needed_for_training,
    place_of,
)
from ml_plugins.types import Annotation

PAGE = 500

Row = tuple[int, int, int, bool, bool]


def scan(project: Any, share: float, rule: str) -> SnapshotRows:
    """The project's submitted annotations as they are now, with the split.

    Args:
        project: Upstream's project.
        share: Share of tasks that the hash picks to be held out.
        rule: What is learned from a task with several annotations.
    """
    rows: list[tuple[int, int, int, bool]] = []
    picked: list[tuple[float, int, frozenset[Label]]] = []
    others: set[Label] = set()
    tasks = 0
    for task_id, given in labeled(project.pk):
        tasks += 1
        learned = learned_from(given, rule)
        numbers = {item.id for item in learned}
        rows += [(task_id, item.id, content_hash(item.result, item.ground_truth), item.id in numbers) for item in given]
        # The last one is what `Example.annotation` gives.
        labels, place = labels_of(learned[-1]), place_of(project.pk, task_id)
        if place < share:
            picked.append((place, task_id, labels))
        else:
            others |= labels
    held_out = _held_out(picked, others, tasks)
    return rows_of([(*row, row[0] in held_out) for row in rows], text_hash(project.label_config or ''))


def submitted(task_ids: Sequence[int]) -> dict[int, list[Annotation]]:
    """Submitted annotations of these tasks, oldest first, without skipped ones."""
    from label_studio.ml_host import upstream

    rows = upstream.Annotation.objects.filter(task_id__in=task_ids, was_cancelled=False).order_by('id')
    found: dict[int, list[Annotation]] = defaultdict(list)
    fields = ('id', 'task_id', 'result', 'completed_by_id', 'ground_truth')
    for number, task_id, result, user_id, truth in patiently(lambda: list(rows.all().values_list(*fields))):
        found[task_id].append(Annotation(number, tuple(result or ()), user_id, bool(truth)))
    return found


def _held_out(picked: list[tuple[float, int, frozenset[Label]]], others: Iterable[Label], tasks: int) -> set[int]:
    if tasks < FEWEST_TO_HOLD_OUT:
        return set()
    needed = needed_for_training(picked, [frozenset(others)])
    return {task_id for _, task_id, _ in picked} - needed


def labeled(project_id: int) -> Iterator[tuple[int, list[Annotation]]]:
    """Every labeled task of a project, ascending, with its submitted annotations; read page by page."""
    last = 0
    # Pages by key: tasks that come or go meanwhile shift nothing, and no cursor stays open.
    while page := _task_ids(project_id, last):
        last = page[-1]
        found = submitted(page)
        # A task's last annotation may have been deleted between the two queries.
        yield from ((task_id, found[task_id]) for task_id in page if task_id in found)


def _task_ids(project_id: int, last: int) -> list[int]:
    from django.db.models import Exists, OuterRef

    from label_studio.ml_host import upstream

    given = upstream.Annotation.objects.filter(task_id=OuterRef('pk'), was_cancelled=False)
    tasks = upstream.Task.objects.filter(Exists(given), project_id=project_id, id__gt=last).order_by('id')
    # A query set keeps what it has read, so each try has one of its own.
    return patiently(lambda: list(tasks.values_list('id', flat=True)[:PAGE]))
