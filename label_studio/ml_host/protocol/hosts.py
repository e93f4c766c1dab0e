"""Ask another Label Studio for tasks and files, with its token, within limits, and nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings

from label_studio.ml_host.models import RemoteProject
from label_studio.ml_host.protocol.errors import RemoteHostError
from label_studio.ml_host.task_data.sources import UnreadableError
from label_studio.ml_host.task_data.urls import reason_of, shown

_CHUNK = 64 * 1024
MOST_REDIRECTS = 5
# A page of a hundred tasks with all their regions.
LARGEST_PAGE = 256 * 1024**2

TOKEN_HELP = (
    'Legacy tokens, which Label Studio sends by itself, are switched off there by default: put a personal access '
    'token into the extra params of the ML backend there, {"access_token": "…"}'
)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address; empty for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {'http': 80, 'https': 443}.get(parts.scheme)
    except ValueError:
        return ''
    return f'{parts.scheme}://{parts.hostname}:{port}' if parts.scheme in ('http', 'https') and parts.hostname else ''


def is_allowed(url: str) -> bool:
    """Whether the server's setting lets an address be fetched although it may be in a private network."""
    origin = origin_of(url)
    return bool(origin) and origin in {origin_of(allowed) for allowed in settings.ML_REMOTE_HOSTS}


class RemoteHost:
    """Requests to the Label Studio of a remote project."""

    def __init__(self, remote: RemoteProject) -> None:
        self._base = remote.hostname
        self._token = remote.access_token
        self._origin = origin_of(remote.hostname)
        self._header: str | None = None

    def page(self, path: str, query: Mapping[str, Any]) -> Any:
        """The JSON that an endpoint of its API answers. Raises `RemoteHostError`."""
        try:
            content = bytearray()
            for chunk in self.chunks(path, query):
                content += chunk
                if len(content) > LARGEST_PAGE:
                    raise RemoteHostError(f'{self._base} sends more than {LARGEST_PAGE:,} bytes at once.')
            return json.loads(bytes(content))
        except UnreadableError as error:
            raise RemoteHostError(f'{self._base} {error}') from error
        except ValueError as error:
            raise RemoteHostError(f'{self._base}{path} answers no JSON: it is no Label Studio.') from error

    def chunks(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The bytes behind an address of that server. Raises `UnreadableError`."""
        if not self._origin:
            raise UnreadableError('is on a Label Studio that did not say its address (setting HOST there)')
        deadline = time.monotonic() + settings.ML_FETCH_TIMEOUT
        url = f'{self._base}{path}'
        try:
            with self._opened(url, query, deadline) as response:
                self._check(response, url)
                # read1 returns what has arrived, so that a server that drips bytes cannot outlast the deadline.
                while chunk := response.raw.read1(_CHUNK, decode_content=True):
                    yield chunk
                    _check_time(deadline, url)
        except (UnreadableError, RemoteHostError):
            raise
        except Exception as error:
            raise UnreadableError(f'{reason_of(error, url, settings.ML_FETCH_TIMEOUT)}{_advice(error)}') from error

    def _opened(self, url: str, query: Mapping[str, Any] | None, deadline: float) -> requests.Response:
        """Follow redirects by hand: to a bucket, say, the token must not go along."""
        for _ in range(MOST_REDIRECTS):
            headers = {'Accept-Encoding': 'identity'}
            if origin_of(url) == self._origin and (header := self._authorization()):
                headers['Authorization'] = header
            response = _get(url, query, headers)
            if not response.is_redirect:
                return response
            response.close()
            url, query = urljoin(url, response.headers['Location']), None
            _check_time(deadline, url)
        raise UnreadableError(f'redirects too often: {shown(url)}')

    def _authorization(self) -> str:
        """A header; a personal access token is first exchanged for one that lasts minutes."""
        if self._header is None:
            self._header = f'Token {self._token}' if self._token else ''
            if self._token.count('.') == 2:
                response = _post(f'{self._base}/api/token/refresh/', {'refresh': self._token})
                if response.status_code != 200:
                    raise UnreadableError(f'refuses the personal access token ({response.status_code})')
                self._header = f'Bearer {response.json()["access"]}'
        return self._header

    def _check(self, response: requests.Response, url: str) -> None:
        if response.status_code in (401, 403):
            raise UnreadableError(f'refuses the access token ({response.status_code}). {TOKEN_HELP}')
        if response.status_code != 200:
            raise UnreadableError(f'answers {response.status_code} for {shown(url)}')


def _get(url: str, query: Mapping[str, Any] | None, headers: Mapping[str, str]) -> requests.Response:
    return _request('GET', url, params=query, headers=headers, stream=True)


def _post(url: str, content: Mapping[str, Any]) -> requests.Response:
    return _request('POST', url, json=content)


def _request(method: str, url: str, **options: Any) -> requests.Response:
    from label_studio.ml_host.upstream import ssrf_safe_request

    options |= {'timeout': settings.ML_FETCH_TIMEOUT, 'allow_redirects': False}
    if is_allowed(url):
        options['block_local_urls'] = False
    return ssrf_safe_request(method, url, **options)


def _check_time(deadline: float, url: str) -> None:
    if time.monotonic() > deadline:
        raise UnreadableError(f'took longer than {settings.ML_FETCH_TIMEOUT:g} s to fetch from {shown(url)}')


def _advice(error: Exception) -> str:
    from label_studio.ml_host.upstream import SsrfBlockedUrlError

    if not isinstance(error, SsrfBlockedUrlError):
        return ''
    return '. The setting ML_REMOTE_HOSTS of this server names the Label Studios in private networks that it may ask'
