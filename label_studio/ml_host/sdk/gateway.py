"""Answer a class's call of Label Studio's API in this process, as the owner of its project would be answered."""

from __future__ import annotations

import io
import logging
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse

from ml_plugins.sdk.host import WebRequest, WebResponse

# Set while a class's own call is answered: no model is loaded or asked for it, which might be that very one.
is_answering: ContextVar[bool] = ContextVar('sdk_call', default=False)


def answer(project_id: int | None, request: WebRequest) -> WebResponse:
    """What upstream's views answer; 404 for a project that is gone."""
    from label_studio.ml_host.upstream import Project, request_locals

    project = None
    if project_id is not None:
        project = Project.objects.select_related('created_by').filter(pk=project_id).first()
    if project is None or project.created_by is None:
        body = b'{"detail": "The project has no owner any more, in whose name this could be answered."}'
        return WebResponse(404, {'Content-Type': 'application/json'}, body)
    token = is_answering.set(True)
    # What upstream knows of the request in whose middle the class may be called.
    around = dict(vars(request_locals))
    try:
        return _response(_handler().get_response(_django_request(project.created_by, request)))
    finally:
        is_answering.reset(token)
        vars(request_locals).clear()
        vars(request_locals).update(around)


def _django_request(user: Any, request: WebRequest) -> WSGIRequest:
    path, _, query = request.target.partition('?')
    environ = {
        'REQUEST_METHOD': request.method.upper(),
        # WSGI gives the bytes of the path as Latin-1.
        'PATH_INFO': unquote(path, 'latin-1'),
        'QUERY_STRING': query,
        'SERVER_NAME': 'localhost',
        'SERVER_PORT': '80',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': '127.0.0.1',
        'wsgi.url_scheme': 'http',
        'wsgi.input': io.BytesIO(request.body),
        'CONTENT_LENGTH': str(len(request.body)),
    }
    for name, value in request.headers.items():
        key = name.upper().replace('-', '_')
        # The token is one that only this process knows of.
        if key not in ('AUTHORIZATION', 'HOST', 'CONTENT_LENGTH', 'COOKIE', 'ACCEPT_ENCODING', 'TRANSFER_ENCODING'):
            environ[key if key == 'CONTENT_TYPE' else f'HTTP_{key}'] = value
    django_request = WSGIRequest(environ)
    # The three doors of upstream: Django's session, REST framework's authentication, and the check of forms.
    django_request._cached_user = user
    django_request._force_auth_user = user
    django_request._force_auth_token = None
    django_request._dont_enforce_csrf_checks = True
    return django_request


def _response(response: HttpResponse) -> WebResponse:
    try:
        body = b''.join(response.streaming_content) if response.streaming else response.content
        return WebResponse(response.status_code, dict(response.items()), body)
    finally:
        # Not close(): that would end the request in whose middle the class may be called.
        for closer in getattr(response, '_resource_closers', ()):
            closer()


class _Expected(logging.Filter):
    """The SDK's client asks for pages until there is none, which is no error to report in the log of a training."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep it."""
        from rest_framework.exceptions import NotFound

        is_missing = isinstance((record.exc_info or (None, None))[1], NotFound)
        return not (is_answering.get() and (is_missing or getattr(record, 'status_code', None) == 404))


@lru_cache(maxsize=1)
def _handler() -> BaseHandler:
    for name in ('core.utils.common', 'django.request'):
        logging.getLogger(name).addFilter(_Expected())
    handler = BaseHandler()
    handler.load_middleware()
    return handler
