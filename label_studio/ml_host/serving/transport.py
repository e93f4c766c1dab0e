"""Answer upstream's calls to ``plugin://`` addresses in process, in the words of the ML backend protocol.

Upstream talks to a model through ``ml.api_connector.MLApi._request`` alone. For plugins that method ends here: no
network, no token, and the answers its callers expect.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from label_studio.ml_host.enabling import gate, services
from label_studio.ml_host.http_backends.allowed import is_allowed
from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.serving import host
from label_studio.ml_host.task_data.resolver import files_of_project, task_from_data
from ml_plugins.exceptions import MLPluginError
from ml_plugins.registry import registry
from ml_plugins.runtime import Priority
from ml_plugins.types import Interaction, Prediction, TaskFailure

logger = logging.getLogger(__name__)


class NotServedError(MLPluginError):
    """The call cannot be answered; the message is shown to the person."""

    code = 'not_served'


def request(original: Callable[..., Any], api, url_suffix, request=None, verbose=True, method='POST', *args, **kwargs):
    """Seam of ``MLApi._request``."""
    name = services.plugin_name(api._url)
    if not name:
        return original(api, url_suffix, request, verbose, method, *args, **kwargs)
    handler = _HANDLERS.get(url_suffix)
    try:
        if handler is None:
            return _result(api, url_suffix, request, {'error': f'plugins do not answer {url_suffix}'}, 404)
        return _result(api, url_suffix, request, handler(name, request or {}), 200)
    except MLPluginError as error:
        return _result(api, url_suffix, request, {'error': str(error)}, 400)
    except Exception as error:
        logger.exception('%s of %s failed', url_suffix, name)
        return _result(api, url_suffix, request, {'error': f'{type(error).__name__}: {error}'}, 500)


def versions(original: Callable[..., Any], connection):
    """Seam of ``MLBackend.get_versions``: the versions that training published, newest first."""
    from label_studio.ml_host.upstream import MLApiResult

    name = services.plugin_name(connection.url)
    if not name:
        return original(connection)
    found = ModelVersion.objects.filter(project_id=connection.project_id, backend=name)
    return MLApiResult(url=connection.url, response={'versions': [version.label for version in found]})


def validate_url(original: Callable[..., Any], serializer, value):
    """Seam of ``MLBackendSerializer.validate_url``: a plugin's address is valid when the plugin is installed."""
    from rest_framework.serializers import ValidationError

    name = services.plugin_name(value)
    if not name:
        return value if is_allowed(value) else original(serializer, value)
    try:
        registry.get(name).backend_class()
    except MLPluginError as error:
        raise ValidationError(str(error)) from error
    return services.plugin_url(name)


def _result(api, url_suffix: str, request, response: dict[str, Any], status: int):
    from label_studio.ml_host.upstream import MLApiResult

    kind = 'ok' if status < 400 else 'error'
    return MLApiResult(f'{api._url}/{url_suffix}', request, response, {}, kind, status_code=status)


def _project(request: Mapping[str, Any]):
    """The project that a request names: ``"<id>.<time>"`` or an object with an ``id``."""
    from label_studio.ml_host.upstream import Project

    named = request.get('project')
    number = named.get('id') if isinstance(named, Mapping) else str(named).partition('.')[0]
    return Project.objects.get(pk=number)


def _active(name: str, request: Mapping[str, Any]):
    row = gate.active(_project(request).pk, name)
    if row is None:
        raise NotServedError(f'{name} is not enabled on this project')
    return row


def _health(name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    registry.get(name).backend_class()
    return {'status': 'UP', 'model_class': name}


def _setup(name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    project = _project(request)
    services.check_servable(project, registry.get(name))
    row = gate.active(project.pk, name)
    return {'model_version': current_label(row) if row is not None else None}


def _predict(name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    row = _active(name, request)
    if host.needs_training(row):
        raise NotServedError(f'{name} has to be trained first: press Train on the ML backends page')
    row = host.at_hand(row, row.project.label_config)
    files = files_of_project(row.project)
    tasks = [task_from_data(item.get('id'), item.get('data') or {}, files) for item in request['tasks']]
    context = (request.get('params') or {}).get('context')
    interaction = None
    if context is not None:
        extra = {key: value for key, value in context.items() if key != 'result'}
        interaction = Interaction(regions=context.get('result') or (), extra=extra)
    future = host.runtime().submit(
        host.spec_for(row, row.project.label_config), tasks, interaction, Priority.INTERACTIVE
    )
    answers = future.result(timeout=settings.ML_PREDICT_TIMEOUT)
    label = current_label(row)
    return {'results': [_as_protocol(answer, label) for answer in answers], 'model_version': label}


def _as_protocol(answer: Prediction | TaskFailure | None, label: str) -> dict[str, Any]:
    if isinstance(answer, TaskFailure):
        raise NotServedError(answer.reason)
    if answer is None:
        return {'result': [], 'score': None, 'model_version': label}
    return {'result': answer.result(), 'score': answer.score, 'model_version': label}


def _train(name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    from label_studio.ml_host.training import runs

    run = runs.request_training(_active(name, request).project, name)
    return {'job': str(run.pk), 'status': 'ok'}


_HANDLERS: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    'health': _health,
    'setup': _setup,
    'predict': _predict,
    'webhook': _train,
    'train': _train,
}
