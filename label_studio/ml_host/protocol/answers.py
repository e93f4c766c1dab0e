"""What each endpoint of the protocol answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from label_studio.ml_host.models import ModelVersion, RemoteProject, TrainingRun
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.protocol import events, mirror, predicting, projects
from label_studio.ml_host.protocol.errors import MessageError
from label_studio.ml_host.protocol.messages import (
    RemoteTask,
    items_of,
    number_of,
    predict_message,
    project_key,
    setup_message,
)
from label_studio.ml_host.serving import host
from label_studio.ml_host.serving import metrics as figures
from label_studio.ml_host.serving.service.errors import NoSuchTargetError
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.registry import Plugin, registry

Body = Mapping[str, Any]
Answer = tuple[Any, int]

# Words of the server that this protocol comes from.
_JOB_STATES = {
    TrainingRun.State.QUEUED: 'queued',
    TrainingRun.State.RUNNING: 'started',
    TrainingRun.State.FINISHED: 'finished',
    TrainingRun.State.FAILED: 'failed',
    TrainingRun.State.CANCELLED: 'canceled',
}


def names() -> str:
    """Names of the backends that can be used, for a sentence."""
    return ', '.join(plugin.name for plugin in _usable()) or 'none'


def is_served(name: str) -> bool:
    """Whether a plugin of that name is installed and other Label Studios may use it."""
    return name in registry and (not settings.ML_SERVED_BACKENDS or name in settings.ML_SERVED_BACKENDS)


def backends(user: Any, base: str) -> list[dict[str, str]]:
    """The backends that can be connected, and under which address."""
    return [{'name': plugin.name, 'title': plugin.title, 'url': f'{base}{plugin.name}'} for plugin in _usable()]


def _usable() -> list[Plugin]:
    return [plugin for plugin in registry.all() if plugin.is_usable and is_served(plugin.name)]


def metrics() -> tuple[bytes, str]:
    """The server's figures in Prometheus's text format, and its content type."""
    return figures.text()


def _health(user: Any, name: str, body: Body) -> Answer:
    return {'status': 'UP', 'model_class': name}, 200


def _setup(user: Any, name: str, body: Body) -> Answer:
    remote = projects.set_up(user, name, setup_message(body))
    row = projects.row_of(remote)
    # The first task is opened soon.
    host.warm(row)
    return {'model_version': current_label(row)}, 200


def _predict(user: Any, name: str, body: Body) -> Answer:
    message = predict_message(body)
    return predicting.predict(projects.connected(user, name, message.project, message.label_config), message), 200


def _webhook(user: Any, name: str, body: Body) -> Answer:
    return events.receive(user, name, body)


def _train(user: Any, name: str, body: Body) -> Answer:
    """The older way to train: the labeled tasks come with the request."""
    config = body.get('label_config') or body.get('schema') or ''
    if not isinstance(config, str):
        raise MessageError('"label_config" must be a string.')
    remote = projects.connected(user, name, project_key(body.get('project')), config)
    projects.row_of(remote)
    sent = items_of(body, 'annotations') if body.get('annotations') else []
    tasks, annotations = [], []
    for item in sent:
        if not isinstance(item.get('data'), Mapping):
            raise MessageError('Each of "annotations" must be a task with "data" and "annotations".')
        task = RemoteTask(number_of(item), item['data'])
        tasks.append(task)
        annotations += [mirror.annotation_of(one, task.number) for one in items_of(item, 'annotations')]
    mirror.keep(remote, tasks, annotations)
    run = events.train(remote, user)
    return {'status': 'ok', 'job': str(run.pk)}, 201


def _versions(user: Any, name: str, body: Body) -> Answer:
    """Names of versions, newest first: of one project, or of all that this caller connected when none is named."""
    remotes = RemoteProject.objects.filter(organization=user.active_organization, backend=name)
    if body.get('project'):
        key = project_key(body['project'])
        remotes = remotes.filter(number=key.number, **({'stamp': key.stamp} if key.stamp else {}))
    found = ModelVersion.objects.filter(project__in=remotes.values('project'), backend=name).exclude(
        state=ModelVersion.State.ARCHIVED
    )
    numbers = found.order_by('-number').values_list('number', flat=True).distinct()
    return {'versions': [f'{name}-v{number}' for number in numbers]}, 200


def _job_status(user: Any, name: str, body: Body) -> Answer:
    number = str(body.get('job', ''))
    if not number.isdecimal() or len(number) > 18:
        raise MessageError(f'"job" must be the number that a training was answered with, not {number[:40]!r}.')
    own = RemoteProject.objects.filter(organization=user.active_organization, backend=name)
    run = TrainingRun.objects.filter(pk=number, backend=name, project__in=own.values('project')).first()
    if run is None:
        return {'status': 410, 'detail': f'There is no job {number} (any more).', 'code': 'gone'}, 410
    return {
        'job_status': _JOB_STATES[run.state],
        'error': run.error or None,
        'created_at': run.created_at,
        'started_at': run.started_at,
        'ended_at': run.ended_at,
        'progress': {'done': run.done, 'total': run.total, 'percent': run.percent},
        'result': {
            'model_version': f'{name}-v{run.version.number}' if run.version else None,
            'metrics': run.metrics,
        },
    }, 200


def _validate(user: Any, name: str, body: Body) -> Answer:
    config = body.get('config')
    if not isinstance(config, str) or not config.strip():
        raise MessageError('"config" must be a label config.')
    try:
        projects.check_servable(name, config)
    except LabelConfigError as error:
        return {'status': 422, 'detail': str(error), 'code': error.code, 'error': str(error)}, 422
    return {'status': 'ok', 'model_class': name}, 200


def _delete(user: Any, name: str, body: Body) -> Answer:
    remote = projects.find(user, name, project_key(body.get('project')))
    if remote is None:
        raise NoSuchTargetError('This project is not connected.')
    remote.project.delete()
    return {'status': 'ok'}, 200


HANDLERS: dict[str, tuple[str, Callable[[Any, str, Body], Answer]]] = {
    '': ('GET', _health),
    'health': ('GET', _health),
    'setup': ('POST', _setup),
    'predict': ('POST', _predict),
    'webhook': ('POST', _webhook),
    'train': ('POST', _train),
    'versions': ('GET', _versions),
    'job_status': ('POST', _job_status),
    'validate': ('POST', _validate),
    'delete': ('POST', _delete),
}
