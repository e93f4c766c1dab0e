"""The routes under ``/ml/<backend>/``: who calls, what is asked, and errors as the other side reads them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from label_studio.ml_host.api.errors import status_of
from label_studio.ml_host.protocol import answers
from label_studio.ml_host.protocol.callers import caller_of
from label_studio.ml_host.protocol.errors import CredentialsError, UnknownBackendError
from label_studio.ml_host.protocol.messages import body_of
from label_studio.ml_host.serving.service.body import check_size
from label_studio.ml_host.serving.service.errors import BodyTooLargeError, ServiceError
from ml_plugins.exceptions import BackendBusyError, CircuitOpenError, MLPluginError, PluginNotFoundError
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]
# Longer ones are cut where the other side shows nothing but the line with the status.
LONGEST_REASON = 300


@csrf_exempt
def listing(request: HttpRequest) -> HttpResponse:
    """``/ml/``: the backends that there are, with their addresses."""
    return _answered(lambda: _listed(request))


@csrf_exempt
def endpoint(request: HttpRequest, name: str, what: str) -> HttpResponse:
    """One call of another Label Studio to one backend."""
    return _answered(lambda: _called(request, name, what.rstrip('/')))


def _listed(request: HttpRequest) -> HttpResponse:
    user = caller_of(request)
    return JsonResponse({'backends': answers.backends(user, request.build_absolute_uri('/ml/'))})


def _called(request: HttpRequest, name: str, what: str) -> HttpResponse:
    user = caller_of(request)
    if not answers.is_served(name):
        raise UnknownBackendError(f'There is no ML backend "{name}" at this server; there is: {answers.names()}.')
    registry.get(name).backend_class()
    if what == 'metrics':
        content, kind = answers.metrics()
        return HttpResponse(content, content_type=kind)
    method, handler = answers.HANDLERS[what]
    if request.method not in (method, 'HEAD' if method == 'GET' else method):
        response = _refusal(405, 'method', f'/{what} takes {method}, not {request.method}.')
        response['Allow'] = method
        return response
    body = dict(request.GET.items()) if method == 'GET' else _body(request)
    content, status = handler(user, name, body)
    return JsonResponse(content, status=status, safe=False)


def _body(request: HttpRequest) -> Body:
    check_size(request.META.get('CONTENT_LENGTH'))
    try:
        content = request.body
    except RequestDataTooBig as error:
        raise BodyTooLargeError(str(error)) from error
    return body_of(content)


def _answered(call: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return call()
    except CredentialsError as error:
        response = _refusal(error.status, error.code, str(error))
        response['WWW-Authenticate'] = 'Basic realm="ML backend"'
        return response
    except ServiceError as error:
        return _refusal(error.status, error.code, str(error))
    except (BackendBusyError, CircuitOpenError) as error:
        response = _refusal(status_of(error), error.code, str(error))
        response['Retry-After'] = str(max(1, math.ceil(getattr(error, 'retry_after', 1.0))))
        return response
    except PluginNotFoundError as error:
        return _refusal(404, error.code, f'{error} There is: {answers.names()}.')
    except MLPluginError as error:
        return _refusal(status_of(error), error.code, str(error))
    except Exception as error:
        logger.exception('A call of another Label Studio failed')
        return _refusal(500, 'error', f'{type(error).__name__}: {error}')


def _refusal(status: int, code: str, sentence: str) -> JsonResponse:
    """The error as JSON, and in the line with the status: Label Studio shows people that line, not the body."""
    content = {'status': status, 'detail': sentence, 'code': code, 'error': sentence}
    line = ' '.join(sentence.split()).encode('ascii', 'replace').decode()
    return JsonResponse(content, status=status, reason=line[:LONGEST_REASON])
