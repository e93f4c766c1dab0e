"""A project's annotations as `fit` sees them: those of a snapshot, streamed from the database page by page."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from label_studio.ml_host.training.changes import changes_between
from label_studio.ml_host.training.content import SnapshotRows, content_hash
from label_studio.ml_host.training.reading import patiently
from label_studio.ml_host.training.scanning import scan, submitted
from ml_plugins.types import Annotation, DatasetChanges, Example

PAGE = 200


class DatabaseDataset:
    """Implements ``ml_plugins.backend.Dataset`` over upstream's tables.

    What it gives is what was submitted when it was made, or when the given snapshot was taken; of that, what was
    changed or deleted since is left out.

    Args:
        project: Upstream's project.
        share: Share of tasks that are held out for evaluation.
        annotators: What is learned from a task with several annotations.
        rows: The snapshot to read again; None for the annotations of now.
        before: The snapshot of the version that training starts from, if there is one.
    """

    def __init__(
        self,
        project: Any,
        share: float,
        annotators: str = 'majority',
        rows: SnapshotRows | None = None,
        before: SnapshotRows | None = None,
    ) -> None:
        self.annotators = annotators
        self._project = project
        self.rows = scan(project, share, annotators) if rows is None else rows
        self._before = before
        self._left_out: set[int] = set()

    def __len__(self) -> int:
        return len(self.rows.task_ids)

    def __iter__(self) -> Iterator[Example]:
        return self._examples(self.rows.task_ids)

    @property
    def train(self) -> Iterator[Example]:
        """Examples to learn from."""
        return self._examples(self.rows.train_ids)

    @property
    def held_out(self) -> Iterator[Example]:
        """Examples of the evaluation split."""
        return self._examples(self.rows.held_out_ids)

    @property
    def changes(self) -> DatasetChanges | None:
        """What changed since the version that training starts from."""
        return None if self._before is None else changes_between(self._before, self.rows)

    def only(self, task_ids: Collection[int]) -> Iterator[Example]:
        """Examples of these tasks, as far as they are labeled."""
        return self._examples(np.intersect1d(np.array(sorted(task_ids), dtype=np.int64), self.rows.task_ids))

    @property
    def left_out(self) -> frozenset[int]:
        """Tasks that were not given out, since they or their annotations changed after the snapshot."""
        return frozenset(self._left_out)

    def train_task_ids(self) -> list[int]:
        """Numbers of the tasks to learn from."""
        return self.rows.train_ids.tolist()

    def held_out_count(self) -> int:
        """How many tasks are held out."""
        return len(self.rows.held_out_ids)

    def _examples(self, task_ids: np.ndarray) -> Iterator[Example]:
        from label_studio.ml_host.task_data.resolver import files_of_project, plugin_task

        files = files_of_project(self._project)
        held_out = set(self.rows.held_out_ids.tolist())
        for start in range(0, len(task_ids), PAGE):
            page = task_ids[start : start + PAGE].tolist()
            tasks = self._tasks(page)
            annotations = self._annotations(page)
            for task_id in page:
                if task_id in tasks and task_id in annotations:
                    task = plugin_task(tasks[task_id], files)
                    yield Example(task, tuple(annotations[task_id]), task_id in held_out)
                else:
                    self._left_out.add(task_id)

    def _tasks(self, page: list[int]) -> dict[int, Any]:
        from label_studio.ml_host import upstream

        rows = upstream.Task.objects.filter(id__in=page, project_id=self._project.pk)
        return patiently(lambda: {task.pk: task for task in rows.all()})

    def _annotations(self, page: list[int]) -> dict[int, list[Annotation]]:
        """What is learned from each task, as it was when the snapshot was taken."""
        wanted = self.rows.learned_from(page[0], page[-1])
        found = {
            task_id: [
                item
                for item in given
                if item.id in wanted and wanted[item.id] == content_hash(item.result, item.ground_truth)
            ]
            for task_id, given in submitted(page).items()
        }
        return {task_id: given for task_id, given in found.items() if given}
