"""Plain URLs, fetched with upstream's guard against private addresses, and ``data:`` addresses."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from label_studio.ml_host.task_data.sources import RemoteFile, UnreadableError, suffix_of, too_large

_CHUNK = 64 * 1024


def shown(url: str) -> str:
    """A URL for people: without user name, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition('@')[2]
    except ValueError:
        return 'this address'
    text = f'{parts.scheme}://{place}{parts.path}'
    return text if len(text) <= 200 else f'{text[:199]}…'


def web_file(url: str) -> RemoteFile:
    """The content behind an http or https URL."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UnreadableError('is not a valid URL') from error
    if not parts.hostname:
        raise UnreadableError('is not a valid URL')
    return RemoteFile(f'url {url}', suffix_of(parts.path), lambda: _download(url))


def data_file(value: str) -> RemoteFile:
    """The content of a base64 ``data:`` address."""
    head, _, payload = value.partition(',')
    if not head.endswith(';base64'):
        raise UnreadableError('is a "data:" address without base64 content')
    kind = head.removeprefix('data:').partition(';')[0].partition('/')[2]
    return RemoteFile(value, suffix_of(f'x.{kind}') if kind else '', lambda: _decode(payload), keep=False)


def _decode(payload: str) -> Iterator[bytes]:
    if len(payload) * 3 // 4 > settings.ML_MAX_FILE_BYTES + 3:
        raise too_large(settings.ML_MAX_FILE_BYTES)
    try:
        yield base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError('is a "data:" address with damaged base64 content') from error


def _download(url: str) -> Iterator[bytes]:
    timeout = settings.ML_FETCH_TIMEOUT
    deadline = time.monotonic() + timeout
    try:
        with _open(url, timeout) as response:
            if response.status_code != 200:
                raise UnreadableError(f'answers {response.status_code} for {shown(url)}')
            length = response.headers.get('Content-Length', '')
            if length.isdigit() and int(length) > settings.ML_MAX_FILE_BYTES:
                raise too_large(settings.ML_MAX_FILE_BYTES)
            # read1 returns what has arrived, so that a server that drips bytes cannot outlast the deadline.
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                yield chunk
                if time.monotonic() > deadline:
                    raise UnreadableError(f'took longer than {timeout:g} s to fetch from {shown(url)}')
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(reason_of(error, url, timeout)) from error


def _open(url: str, timeout: float) -> Any:
    from label_studio.ml_host.upstream import ssrf_safe_get

    # Every redirect goes through the same guarded connections.
    return ssrf_safe_get(url, stream=True, timeout=timeout, headers={'Accept-Encoding': 'identity'})


def reason_of(error: Exception, url: str, timeout: float) -> str:
    """Why an address could not be fetched; completes the sentence 'field "image" …'."""
    from urllib3.exceptions import ProtocolError
    from urllib3.exceptions import TimeoutError as UrllibTimeoutError

    from label_studio.ml_host.upstream import LabelStudioAPIException, SsrfBlockedUrlError

    place = shown(url)
    if isinstance(error, SsrfBlockedUrlError):
        return f'points to a private or reserved network address, which this server does not fetch: {place}'
    if isinstance(error, LabelStudioAPIException) or 'NameResolution' in repr(error):
        return f'names a host that cannot be found: {place}'
    if isinstance(error, (requests.Timeout, UrllibTimeoutError)):
        return f'gave no answer within {timeout:g} s: {place}'
    if isinstance(error, ProtocolError):
        return f'broke off during the transfer: {place}'
    if isinstance(error, requests.exceptions.SSLError):
        return f'has a TLS certificate that cannot be verified: {place}'
    if isinstance(error, requests.TooManyRedirects):
        return f'redirects too often: {place}'
    if isinstance(error, requests.ConnectionError):
        return f'cannot be reached: {place}'
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError)):
        return f'is or redirects to an address that is not http or https: {place}'
    return f'cannot be fetched ({type(error).__name__}): {place}'
