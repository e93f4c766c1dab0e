"""Notice other versions in service and load them before anybody asks: heard through Redis, or seen in the database."""

from __future__ import annotations

import json
import logging
import threading
import time

import django_rq
from django.conf import settings
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.serving import host
from label_studio.ml_host.serving.service import targets

logger = logging.getLogger(__name__)

CHANNEL = 'ml:version'
# The database is looked at so often, since a message may be lost and Redis may be away.
LOOK_SECONDS = 1.0
# A Redis that is away is tried again after so long.
RETRY_SECONDS = 2.0


def listening() -> threading.Thread:
    """A daemon thread that listens and looks for the life of the web process; it is not started yet."""
    return threading.Thread(target=_Listener().run, name='version-listener', daemon=True)


def handle(message: bytes | str) -> None:
    """Load the version that a message speaks of."""
    content = json.loads(message)
    _load(int(content['project']), str(content['backend']))


def look() -> int:
    """Load versions in service where this process has another one in memory.

    Returns:
        How many it began to load, or waits for.
    """
    keys = {(model.spec.project_id, model.spec.plugin) for model in host.loaded_models()}
    projects = {project_id for project_id, _ in keys}
    if not projects:
        return 0
    rows = ProjectBackend.objects.filter(enabled=True, project__in=projects)
    found = rows.values_list('project', 'backend', 'in_service__number')
    changed = [
        (project_id, backend)
        for project_id, backend, number in found
        if (project_id, backend) in keys and not host.is_served(project_id, backend, number)
    ]
    for project_id, backend in changed:
        _load(project_id, backend)
    return len(changed)


def _load(project_id: int, backend: str) -> None:
    targets.forget()
    row = gate.active(project_id, backend)
    if row is not None and host.is_wanted(project_id, backend):
        host.warm(row)


class _Listener:
    """One thread that waits for messages and looks at the database in between."""

    def __init__(self) -> None:
        self._messages = None
        self._connect_at = 0.0
        self._looked_at = 0.0

    def run(self) -> None:
        while True:
            try:
                self._hear()
                if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                    self._looked_at = time.monotonic()
                    look()
            except DatabaseError as error:
                logger.debug('The database is away, versions are looked for again soon: %s', error)
                connection.close()
            except Exception:
                logger.exception('A new version could not be loaded')

    def _hear(self) -> None:
        """Wait for a message until it is time to look, and load what it speaks of."""
        until = self._looked_at + LOOK_SECONDS
        try:
            if self._messages is None and time.monotonic() >= self._connect_at:
                self._messages = self._subscribe()
            if self._messages is not None:
                message = self._messages.get_message(timeout=max(0.01, until - time.monotonic()))
                if message is not None:
                    handle(message['data'])
                return
        except (RedisError, OSError) as error:
            logger.debug('The queue is away, listening again soon: %s', error)
            self._messages = None
            self._connect_at = time.monotonic() + RETRY_SECONDS
        time.sleep(max(0.0, until - time.monotonic()))

    def _subscribe(self):
        messages = django_rq.get_connection(settings.ML_TRAIN_QUEUE).pubsub(ignore_subscribe_messages=True)
        messages.subscribe(CHANNEL)
        return messages
