"""What bulk runs ask before they work with an HTTP backend."""

from __future__ import annotations

import logging
from typing import Any

from label_studio.ml_host.http_backends.allowed import HOW, is_allowed
from label_studio.ml_host.http_backends.rows import label_of
from label_studio.ml_host.models import PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling.errors import PrelabelError, WrongVersionError

logger = logging.getLogger(__name__)


class BackendNotReadyError(PrelabelError):
    """The backend does not answer, or does not take the project."""

    code = 'http_backend_away'


def check(connection: Any) -> None:
    """Ask ``/health`` and ``/setup``, as upstream does before it predicts. Raises `BackendNotReadyError`."""
    connection.update_state()
    if not connection.not_ready:
        return
    result = connection.healthcheck()
    reason = connection.error_message if not result.is_error else result.error_message
    if 'reserved network address' in str(reason) or not (reason or is_allowed(connection.url)):
        reason = HOW
    raise BackendNotReadyError(
        f'ML backend "{connection.title}" at {connection.url.rpartition("@")[2]} is not ready: {reason or "no answer"}'
    )


def settle(run: PrelabelRun, row: ProjectBackend, connection: Any) -> None:
    """Let a run carry the version that the backend has now; one that has predicted with another is not mixed up.

    Raises:
        BackendNotReadyError: It is not ready.
        WrongVersionError: It has another version since.
    """
    check(connection)
    label = label_of(connection)
    row.params = {'version': label}
    if label == run.label:
        return
    if run.shards.exclude(done=0).exists():
        raise WrongVersionError(
            f'The backend has version {label} now, and this run began with {run.label}: start a new one.'
        )
    PrelabelRun.objects.filter(pk=run.pk).update(label=label)
    run.label = label
