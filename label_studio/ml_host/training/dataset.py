"""A project's annotations as `fit` sees them: streamed from the database, page by page."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ml_plugins.types import Annotation, Example, Task, TaskFiles

PAGE = 200


def is_held_out(project_id: int, task_id: int, share: float) -> bool:
    """Whether a task belongs to the evaluation split; depends on nothing but the two numbers and the share."""
    digest = hashlib.sha256(f'{project_id}:{task_id}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64 < share


class DatabaseDataset:
    """Implements ``ml_plugins.backend.Dataset`` over upstream's tables.

    Args:
        project: Upstream's project.
        share: Share of tasks that are held out for evaluation.
    """

    def __init__(self, project: Any, share: float) -> None:
        self._project = project
        self._share = share

    def __len__(self) -> int:
        return self._labeled_tasks().count()

    def __iter__(self) -> Iterator[Example]:
        return self._examples(None)

    @property
    def train(self) -> Iterator[Example]:
        """Examples to learn from."""
        return self._examples(False)

    @property
    def held_out(self) -> Iterator[Example]:
        """Examples of the evaluation split."""
        return self._examples(True)

    def train_task_ids(self) -> Iterator[int]:
        """Numbers of the tasks to learn from."""
        for task_id in self._labeled_tasks().order_by('id').values_list('id', flat=True).iterator(chunk_size=2000):
            if not is_held_out(self._project.pk, task_id, self._share):
                yield task_id

    def _labeled_tasks(self) -> Any:
        from django.db.models import Exists, OuterRef

        from label_studio.ml_host import upstream

        submitted = upstream.Annotation.objects.filter(task_id=OuterRef('pk'), was_cancelled=False)
        return upstream.Task.objects.filter(Exists(submitted), project_id=self._project.pk)

    def _examples(self, held_out: bool | None) -> Iterator[Example]:
        from label_studio.ml_host.task_data.resolver import HostTaskFiles, plugin_task

        files = HostTaskFiles(self._project)
        last = 0
        # Pages by key: tasks that come or go meanwhile shift nothing, and no cursor stays open for hours.
        while page := list(self._labeled_tasks().filter(id__gt=last).order_by('id')[:PAGE]):
            last = page[-1].pk
            split = {task.pk: is_held_out(self._project.pk, task.pk, self._share) for task in page}
            wanted = [task for task in page if held_out is None or split[task.pk] == held_out]
            yield from _with_annotations(wanted, split, files, plugin_task)


def _with_annotations(
    tasks: list[Any], split: dict[int, bool], files: TaskFiles, plugin_task: Any
) -> Iterator[Example]:
    annotations = _annotations([task.pk for task in tasks])
    for task in tasks:
        # Its last annotation may have been deleted between the two queries.
        if found := annotations.get(task.pk):
            converted: Task = plugin_task(task, files)
            yield Example(converted, tuple(found), split[task.pk])


def _annotations(task_ids: list[int]) -> dict[int, list[Annotation]]:
    from label_studio.ml_host import upstream

    rows = upstream.Annotation.objects.filter(task_id__in=task_ids, was_cancelled=False).order_by('id')
    found: dict[int, list[Annotation]] = defaultdict(list)
    for number, task_id, result, user_id, truth in rows.values_list(
        'id', 'task_id', 'result', 'completed_by_id', 'ground_truth'
    ):
        found[task_id].append(Annotation(number, tuple(result or ()), user_id, bool(truth)))
    return found
