"""Requests to an HTTP backend, tried again where that may help, and its errors in a sentence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from django.conf import settings

from label_studio.ml_host.http_backends.allowed import HOW
from ml_plugins.exceptions import BackendAwayError, MLPluginError

# What a proxy or an overloaded server answers; the same request may succeed a moment later.
_PASSING = frozenset({429, 502, 503, 504})
PAUSES = (0.5, 1.0, 2.0)
# The runtime gives a batch up after ML_PREDICT_TIMEOUT; the request ends before that, and can say why.
_SHARE = 0.9


class HTTPBackendError(MLPluginError):
    """An HTTP backend answered with an error, or with something that is no prediction."""

    code = 'http_backend'


class HTTPBackendAwayError(BackendAwayError):
    """An HTTP backend cannot be reached: no smaller batch would help."""

    code = 'http_backend_away'


def ask(connection: Any, suffix: str, body: Mapping[str, Any]) -> Any:
    """POST to a backend; what may pass is tried again.

    Returns:
        The JSON that it answers.

    Raises:
        HTTPBackendAwayError: It cannot be reached, or stays overloaded.
        HTTPBackendError: It answers with an error, or not with JSON.
    """
    until = time.monotonic() + settings.ML_PREDICT_TIMEOUT * _SHARE
    api = connection.api
    for pause in (*PAUSES, None):
        try:
            return _ask_once(connection, api, suffix, body, max(0.1, until - time.monotonic()))
        except HTTPBackendAwayError:
            if pause is None or time.monotonic() + pause >= until:
                raise
            time.sleep(pause)
    raise AssertionError


def _ask_once(connection: Any, api: Any, suffix: str, body: Mapping[str, Any], seconds: float) -> Any:
    from label_studio.ml_host.upstream import LabelStudioAPIException

    try:
        response = api.post(url=api._get_url(suffix), json=body, timeout=(min(5.0, seconds), seconds))
    except LabelStudioAPIException as error:
        raise HTTPBackendAwayError(f'{_named(connection)} is in a private network. {HOW}') from error
    except requests.Timeout as error:
        raise HTTPBackendAwayError(f'{_named(connection)} gave no answer within {seconds:.3g} s.') from error
    except requests.RequestException as error:
        raise HTTPBackendAwayError(f'{_named(connection)} cannot be reached ({type(error).__name__}).') from error
    if response.status_code in _PASSING:
        raise HTTPBackendAwayError(f'{_named(connection)} answers {response.status_code}: {_detail(response)}')
    if not response.ok:
        raise HTTPBackendError(f'{_named(connection)} answers {response.status_code}: {_detail(response)}')
    try:
        return response.json()
    except ValueError as error:
        raise HTTPBackendError(f'{_named(connection)} answers /{suffix} without JSON.') from error


def _named(connection: Any) -> str:
    return f'ML backend "{connection.title}" at {connection.url.rpartition("@")[2]}'


def _detail(response: requests.Response) -> str:
    """What it says of the error: the SDK's server and ours write it into the body."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    said = (body.get('detail') or body.get('error')) if isinstance(body, Mapping) else ''
    return ' '.join(str(said or response.reason or 'no reason').split())[:500]
