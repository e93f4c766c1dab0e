"""Calls that classes of the SDK make to Label Studio, answered in this process: no address, no token, no network.

Two libraries are used for them: `requests`, by hand or through the SDK's older client, and `httpx`, through the newer
one, which also works with asyncio. Both choose a transport for each address; while a class of the SDK is at work,
addresses of this server get ours.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from ml_plugins.sdk import host
from ml_plugins.sdk.host import WebRequest, WebResponse
from ml_plugins.sdk.session import TOKEN, Session, current

# What the SDK takes for Label Studio where nothing else is said.
_DEFAULTS = ('http://localhost:8080', 'http://127.0.0.1:8080', 'http://localhost:8000')
_VARIABLES = ('LABEL_STUDIO_URL', 'LABEL_STUDIO_HOST', 'LABEL_STUDIO_HOSTNAME', 'LABEL_STUDIO_BASE_URL', 'HOSTNAME')
_is_installed = False


def install() -> None:
    """Put our transports in place, once."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    import httpx
    import requests
    from label_studio_sdk import Client
    from label_studio_sdk.base_client import AsyncLabelStudioBase, LabelStudioBase

    _replace(requests.Session, 'get_adapter', _adapter)
    for client in (httpx.Client, httpx.AsyncClient):
        _replace(client, '_transport_for_url', _transport)
    _replace(Client, '__init__', _with_token)
    _replace(LabelStudioBase, '__init__', _with_token)
    _replace(AsyncLabelStudioBase, '__init__', _with_token)


def is_own(url: str) -> bool:
    """Whether an address is this server's."""
    addresses = [*_DEFAULTS, *host.current.own_addresses(), *(os.environ.get(name, '') for name in _VARIABLES)]
    return _origin(url) in {_origin(address) for address in addresses if '://' in address}


def answer(session: Session, request: WebRequest) -> WebResponse:
    """The server's answer; in training, without the tasks that are held out for measuring."""
    response = host.current.answer(session.project_id, request)
    if not session.hidden_tasks or 'json' not in response.headers.get('Content-Type', ''):
        return response
    try:
        content = json.loads(response.body)
    except ValueError:
        return response
    shown = _without(content, session.hidden_tasks)
    if shown is content:
        return response
    body = json.dumps(shown).encode()
    return WebResponse(response.status, {**response.headers, 'Content-Length': str(len(body))}, body)


def _without(content: Any, hidden: Collection[int]) -> Any:
    if isinstance(content, dict) and isinstance(content.get('tasks'), list):
        return {**content, 'tasks': _without(content['tasks'], hidden)}
    if isinstance(content, list) and all(isinstance(item, dict) and 'data' in item for item in content):
        return [item for item in content if item.get('id') not in hidden]
    return content


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f'{parts.path or "/"}?{parts.query}' if parts.query else parts.path or '/'


def _replace(owner: Any, name: str, ours: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        session = current()
        return original(self, *args, **kwargs) if session is None else ours(session, original, self, *args, **kwargs)

    setattr(owner, name, method)


def _with_token(session: Session, original: Any, client: Any, /, *args: Any, **kwargs: Any) -> None:
    """Clients refuse to start without a token; in here there is no need for one."""
    import inspect

    bound = inspect.signature(original).bind(client, *args, **kwargs)
    if bound.arguments.get('api_key') is None and bound.arguments.get('credentials') is None:
        bound.arguments['api_key'] = os.environ.get('LABEL_STUDIO_API_KEY') or TOKEN
    original(*bound.args, **bound.kwargs)


def _adapter(session: Session, original: Any, client: Any, url: str) -> Any:
    if not is_own(url):
        return original(client, url)
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        """Answers a request of the library `requests`."""

        def send(self, request: Any, **_options: Any) -> Any:
            return _requests_response(request, answer(session, _of_requests(request)))

        def close(self) -> None:
            """Nothing is open."""

    return Adapter()


def _of_requests(request: Any) -> WebRequest:
    body = request.body or b''
    if hasattr(body, 'read'):
        body = body.read()
    elif hasattr(body, '__next__'):
        body = b''.join(body)
    content = body.encode() if isinstance(body, str) else bytes(body)
    return WebRequest(request.method, _target(request.url), dict(request.headers), content)


def _requests_response(request: Any, given: WebResponse) -> Any:
    from requests import Response
    from requests.structures import CaseInsensitiveDict
    from requests.utils import get_encoding_from_headers
    from urllib3 import HTTPResponse

    response = Response()
    response.status_code = given.status
    response.headers = CaseInsensitiveDict(given.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = HTTPResponse(io.BytesIO(given.body), dict(given.headers), given.status, preload_content=False)
    response.url, response.request = request.url, request
    return response


def _transport(session: Session, original: Any, client: Any, url: Any) -> Any:
    if not is_own(str(url)):
        return original(client, url)
    import httpx

    class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
        """Answers a request of the library `httpx`, of either kind of its clients."""

        def handle_request(self, request: Any) -> Any:
            return self._answer(request, request.read())

        async def handle_async_request(self, request: Any) -> Any:
            return self._answer(request, await request.aread())

        def _answer(self, request: Any, body: bytes) -> Any:
            headers: Mapping[str, str] = dict(request.headers)
            given = answer(session, WebRequest(request.method, _target(str(request.url)), headers, body))
            return httpx.Response(given.status, headers=dict(given.headers), content=given.body, request=request)

    return Transport()
