"""``/webhook``: what happens in the other Label Studio, and its button *Start Training*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from label_studio.ml_host.models import RemoteProject, TrainingRun
from label_studio.ml_host.protocol import mirror, projects
from label_studio.ml_host.protocol.errors import MessageError
from label_studio.ml_host.protocol.messages import RemoteTask, items_of, number_of, project_key

Answer = tuple[dict[str, Any], int]


def receive(user: Any, backend: str, body: Mapping[str, Any]) -> Answer:
    """Answer ``/webhook``.

    Returns:
        The answer and its status: 201 for a training that was queued.

    Raises:
        MessageError: Names the field that is missing or wrong.
        MLPluginError: The label config cannot be served, or nothing can be trained.
    """
    action = body.get('action')
    if not isinstance(action, str):
        raise MessageError('"action" must name an event, such as START_TRAINING or ANNOTATION_CREATED.')
    if action not in _HANDLERS:
        # Webhooks are sent for all events, whether anybody wants them or not.
        return {'status': 'ok', 'detail': f'{action} says nothing to a model.'}, 200
    project = body.get('project')
    config = project.get('label_config') if isinstance(project, Mapping) else None
    remote = projects.connected(user, backend, project_key(project), config if isinstance(config, str) else '')
    projects.row_of(remote)
    return _HANDLERS[action](remote, user, body)


def train(remote: RemoteProject, user: Any) -> TrainingRun:
    """Queue a training; its worker fetches what is labeled. Raises `TrainingError`."""
    from label_studio.ml_host.training import runs

    return runs.request_training(remote.project, remote.backend, user)


def _train(remote: RemoteProject, user: Any, body: Mapping[str, Any]) -> Answer:
    run = train(remote, user)
    return {'status': 'ok', 'job': str(run.pk), 'result': {}}, 201


def _annotated(remote: RemoteProject, user: Any, body: Mapping[str, Any]) -> Answer:
    tasks = [_task(item) for item in items_of(body, 'task')]
    single = tasks[0].number if len(tasks) == 1 else None
    annotations = [
        mirror.annotation_of(item, None if item.get('task') is not None else single)
        for item in items_of(body, 'annotation')
    ]
    mirror.keep(remote, tasks, annotations)
    return {'status': 'ok', 'annotations': len(annotations)}, 200


def _annotations_deleted(remote: RemoteProject, user: Any, body: Mapping[str, Any]) -> Answer:
    numbers = [number_of(item) for item in items_of(body, 'annotations')]
    return {'status': 'ok', 'annotations': mirror.forget_annotations(remote, numbers)}, 200


def _tasks_deleted(remote: RemoteProject, user: Any, body: Mapping[str, Any]) -> Answer:
    mirror.forget_tasks(remote, [number_of(item) for item in items_of(body, 'tasks')])
    return {'status': 'ok'}, 200


def _project_updated(remote: RemoteProject, user: Any, body: Mapping[str, Any]) -> Answer:
    # Its label config was taken over already.
    return {'status': 'ok'}, 200


def _task(item: Mapping[str, Any]) -> RemoteTask:
    if not isinstance(item.get('data'), Mapping):
        raise MessageError('"task.data" must be an object.')
    return RemoteTask(number_of(item), item['data'])


_HANDLERS: dict[str, Callable[[RemoteProject, Any, Mapping[str, Any]], Answer]] = {
    'START_TRAINING': _train,
    'ANNOTATION_CREATED': _annotated,
    'ANNOTATION_UPDATED': _annotated,
    'ANNOTATIONS_CREATED': _annotated,
    'ANNOTATIONS_DELETED': _annotations_deleted,
    # The name that the SDK knows, and Label Studio does not.
    'ANNOTATION_DELETED': _annotations_deleted,
    'TASKS_DELETED': _tasks_deleted,
    'PROJECT_UPDATED': _project_updated,
}
