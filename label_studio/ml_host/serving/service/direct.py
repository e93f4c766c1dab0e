"""The short way to the prediction service: programs with a token need none of what pages need.

Upstream's middleware (sessions, languages, user agents, request logs) costs several milliseconds of processor time a
request, more than a model's share in a full batch. Requests that carry a token, or nothing at all, skip it; those
with a session, a JWT or a foreign origin take the usual way to the same view.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_PATH = re.compile(r'/(api/projects/\d+/)?predict/?')
# Each of these is somebody's business in upstream's middleware.
_SIGNS = ('HTTP_COOKIE', 'HTTP_ORIGIN', 'HTTP_X_API_KEY')


class DirectHandler(WSGIHandler):
    """Django's own handler with no middleware."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Only the view, and Django's conversion of errors."""
        self._view_middleware = []
        self._template_response_middleware = []
        self._exception_middleware = []
        self._middleware_chain = convert_exception_to_response(self._get_response)


def with_short_way(application: Application) -> Application:
    """An application that answers the prediction service directly where that is possible."""
    direct = DirectHandler()

    def choose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return (direct if is_direct(environ) else application)(environ, start_response)

    return choose


def is_direct(environ: dict[str, Any]) -> bool:
    """Whether nothing of the middleware is needed."""
    if environ.get('REQUEST_METHOD') != 'POST' or not _PATH.fullmatch(environ.get('PATH_INFO', '')):
        return False
    return environ.get('HTTP_AUTHORIZATION', 'Token ').startswith('Token ') and not any(
        environ.get(name) for name in _SIGNS
    )
