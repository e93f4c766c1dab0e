"""A project's annotations as `fit` sees them: streamed from the database, page by page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.split import FEWEST_TO_HOLD_OUT, labels_of, needed_for_training, place_of
from ml_plugins.types import Annotation, Example, Task

PAGE = 200


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
        return (task_id for task_id in self._task_ids() if not self._is_held_out(task_id))

    def held_out_count(self) -> int:
        """How many tasks are held out."""
        return sum(self._is_held_out(task_id) for task_id in self._task_ids())

    def _is_picked(self, task_id: int) -> bool:
        return place_of(self._project.pk, task_id) < self._share

    def _is_held_out(self, task_id: int) -> bool:
        return self._is_picked(task_id) and self._needed is not None and task_id not in self._needed

    @cached_property
    def _needed(self) -> frozenset[int] | None:
        """Picked tasks that training needs; None when it needs all. Asked once: a run sees one split."""
        if len(self) < FEWEST_TO_HOLD_OUT:
            return None
        picked = (
            (place_of(self._project.pk, task_id), task_id, labels) for task_id, labels in self._labels(picked=True)
        )
        return needed_for_training(picked, (labels for _, labels in self._labels(picked=False)))

    def _labeled_tasks(self) -> Any:
        from django.db.models import Exists, OuterRef

        from label_studio.ml_host import upstream

        submitted = upstream.Annotation.objects.filter(task_id=OuterRef('pk'), was_cancelled=False)
        return upstream.Task.objects.filter(Exists(submitted), project_id=self._project.pk)

    def _page(self, last: int, ids_only: bool = False) -> list[Any]:
        rows = self._labeled_tasks().filter(id__gt=last).order_by('id')
        # A query set keeps what it has read, so each try has one of its own.
        return patiently(lambda: list((rows.values_list('id', flat=True) if ids_only else rows.all())[:PAGE]))

    def _task_ids(self) -> Iterator[int]:
        return self._labeled_tasks().order_by('id').values_list('id', flat=True).iterator(chunk_size=2000)

    def _labels(self, picked: bool) -> Iterator[tuple[int, frozenset[tuple[str, str]]]]:
        last = 0
        while page := self._page(last, ids_only=True):
            last = page[-1]
            found = _annotations([task_id for task_id in page if self._is_picked(task_id) == picked])
            for task_id, given in found.items():
                yield task_id, labels_of(Example(Task(task_id, {}), given).annotation)

    def _examples(self, held_out: bool | None) -> Iterator[Example]:
        from label_studio.ml_host.task_data.resolver import HostTaskFiles, plugin_task

        files = HostTaskFiles(self._project)
        last = 0
        # Pages by key: tasks that come or go meanwhile shift nothing, and no cursor stays open for hours.
        while page := self._page(last):
            last = page[-1].pk
            split = {task.pk: self._is_held_out(task.pk) for task in page}
            wanted = [task for task in page if held_out is None or split[task.pk] == held_out]
            annotations = _annotations([task.pk for task in wanted])
            for task in wanted:
                # Its last annotation may have been deleted between the two queries.
                if found := annotations.get(task.pk):
                    yield Example(plugin_task(task, files), tuple(found), split[task.pk])


def _annotations(task_ids: list[int]) -> dict[int, list[Annotation]]:
    from label_studio.ml_host import upstream

    rows = upstream.Annotation.objects.filter(task_id__in=task_ids, was_cancelled=False).order_by('id')
    found: dict[int, list[Annotation]] = defaultdict(list)
    fields = ('id', 'task_id', 'result', 'completed_by_id', 'ground_truth')
    for number, task_id, result, user_id, truth in patiently(lambda: list(rows.values_list(*fields))):
        found[task_id].append(Annotation(number, tuple(result or ()), user_id, bool(truth)))
    return found
