"""Only models, no pages: what `label-studio serve` lets through."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SERVED = re.compile(r'/ml(/.*)?|/predict/?|/api/projects/\d+/predict/?|/metrics/ml/?')
_THERE_IS = 'This server has no pages. It answers /ml/ (the ML backend protocol), /predict, /health and /metrics/ml.'


def without_pages(application: Application) -> Application:
    """An application that answers models' requests, and a sentence to everything else."""

    def choose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        if _SERVED.fullmatch(path):
            return application(environ, start_response)
        if path in ('', '/', '/health', '/health/'):
            return _answer(start_response, '200 OK', {'status': 'UP', 'detail': _THERE_IS})
        return _answer(start_response, '404 Not Found', {'status': 404, 'detail': _THERE_IS, 'code': 'not_found'})

    return choose


def _answer(start_response: Callable[..., Any], status: str, content: dict[str, Any]) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(status, [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
