"""Train a version again: from the annotations of its snapshot, with its parameters, seed and start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from label_studio.ml_host.models import ModelVersion, TrainingRun
from label_studio.ml_host.training.content import SnapshotRows, content_hash, text_hash, unpack
from label_studio.ml_host.training.errors import NotRepeatableError
from label_studio.ml_host.training.scanning import PAGE, submitted

# Tasks that a message names before it says how many more there are.
_NAMED = 10


def check_repeatable(version: ModelVersion) -> SnapshotRows:
    """What a version was trained on, if all of that is still as it was.

    Raises:
        NotRepeatableError: Names the tasks whose annotations changed or went.
    """
    name = f'Version {version.number}'
    if version.snapshot is None:
        raise NotRepeatableError(
            f'{name} cannot be trained again: it is not recorded which annotations it was trained on, as it was '
            'uploaded or made by an older release.'
        )
    rows = unpack(version.snapshot.content)
    if rows.label_config != text_hash(version.project.label_config or ''):
        raise NotRepeatableError(
            f'{name} cannot be trained again: the label config has changed since. Train a new version instead.'
        )
    if tasks := _different_tasks(rows):
        raise NotRepeatableError(
            f'{name} cannot be trained again: annotations that it learned from were changed or deleted since, those '
            f'of {_named(tasks)}. Train a new version instead.'
        )
    return rows


def create_repeat(version: ModelVersion, user: Any) -> TrainingRun:
    """The row of a run that trains a version again; nothing is queued yet."""
    run = TrainingRun.objects.filter(version=version).first()
    return TrainingRun.objects.create(
        project_id=version.project_id,
        backend=version.backend,
        created_by=user,
        params=version.params,
        seed=run.seed if run is not None else 0,
        trigger=f'version {version.number} again',
        snapshot=version.snapshot,
        repeats=version,
    )


def _different_tasks(rows: SnapshotRows) -> list[int]:
    different = []
    ids = rows.task_ids.tolist()
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        now = {
            item.id: content_hash(item.result, item.ground_truth)
            for given in submitted(page).values()
            for item in given
        }
        different += [
            task_id
            for task_id in page
            if any(now.get(number) != was for number, was in rows.learned_from(task_id, task_id).items())
        ]
    return different


def _named(tasks: Sequence[int]) -> str:
    shown = ', '.join(str(task_id) for task_id in tasks[:_NAMED])
    more = f' and {len(tasks) - _NAMED} more' if len(tasks) > _NAMED else ''
    return f'task {shown}' if len(tasks) == 1 else f'tasks {shown}{more}'
