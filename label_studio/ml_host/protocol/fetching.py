"""Before a training: fetch what people labeled in the other Label Studio since, and forget what they deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.utils import timezone

from label_studio.ml_host.models import RemoteProject, TrainingRun
from label_studio.ml_host.protocol import mirror
from label_studio.ml_host.protocol.errors import RemoteHostError
from label_studio.ml_host.protocol.hosts import RemoteHost
from label_studio.ml_host.protocol.messages import RemoteTask, items_of, number_of
from ml_plugins.exceptions import TrainingError

PAGE = 100
# Only tasks with annotations are asked for.
_LABELED = {
    'filters': {
        'conjunction': 'and',
        'items': [{'filter': 'filter:tasks:total_annotations', 'operator': 'greater', 'value': 0, 'type': 'Number'}],
    }
}
_QUERY = json.dumps(_LABELED)

Report = Callable[[str], None]


def before_training(run: TrainingRun, log: Report) -> None:
    """Bring the shadow of a remote project up to date; does nothing for other projects.

    Raises:
        TrainingError: The other server cannot be reached, and nothing that it sent before can be learned from.
    """
    remote = RemoteProject.objects.filter(project=run.project_id).first()
    if remote is None or run.snapshot_id is not None:
        # A run that goes on, or repeats, learns from what its snapshot says.
        return
    try:
        number = fetch(remote)
    except RemoteHostError as error:
        if not _knows_labels(remote):
            raise TrainingError(
                f'Nothing is known to learn from: the tasks of {remote} cannot be fetched, and no event with an '
                f'annotation came. {error}'
            ) from error
        log(f'Training learns from what {remote} sent by its events, since its tasks cannot be fetched: {error}')
        return
    log(f'{number} labeled tasks were fetched from {remote}.')


def fetch(remote: RemoteProject) -> int:
    """Fetch every labeled task with its annotations; returns how many there are.

    Raises:
        RemoteHostError: The other server cannot be reached, refuses, or answers something else.
    """
    annotations: set[int] = set()
    tasks = 0
    for page in _pages(remote):
        kept = [_labeled(item) for item in page]
        mirror.keep(remote, [task for task, _ in kept], [item for _, found in kept for item in found])
        annotations |= {item.number for _, found in kept for item in found}
        tasks += len(kept)
    # Only when every page came: half of them would look as if the others were deleted.
    mirror.forget_others(remote, annotations)
    RemoteProject.objects.filter(pk=remote.pk).update(fetched_at=timezone.now())
    return tasks


def _pages(remote: RemoteProject) -> Iterator[list[Mapping[str, Any]]]:
    host = RemoteHost(remote)
    number, total = 1, None
    while total is None or (number - 1) * PAGE < total:
        query = {'project': remote.number, 'page': number, 'page_size': PAGE, 'fields': 'all', 'query': _QUERY}
        answer = host.page('/api/tasks/', query)
        if not isinstance(answer, Mapping) or not isinstance(answer.get('tasks'), list):
            raise RemoteHostError(f'{remote.hostname}/api/tasks/ answers without "tasks": it is no Label Studio.')
        if not answer['tasks']:
            return
        total = int(answer.get('total') or 0)
        number += 1
        yield answer['tasks']


def _labeled(item: Mapping[str, Any]) -> tuple[RemoteTask, list[mirror.RemoteAnnotation]]:
    task = RemoteTask(number_of(item), item.get('data') or {})
    found = items_of(item, 'annotations') if item.get('annotations') else []
    return task, [mirror.annotation_of(one, task.number) for one in found]


def _knows_labels(remote: RemoteProject) -> bool:
    from label_studio.ml_host.upstream import Annotation

    return Annotation.objects.filter(project=remote.project_id, was_cancelled=False).exists()
