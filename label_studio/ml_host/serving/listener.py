"""Hear of new versions from the workers and load them before anybody asks."""

from __future__ import annotations

import json
import logging
import threading
import time

import django_rq
from django.conf import settings
from django.db import close_old_connections
from redis.exceptions import RedisError

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.serving import host

logger = logging.getLogger(__name__)

CHANNEL = 'ml:version'
RETRY_SECONDS = 2.0


def start() -> threading.Thread:
    """Listen in a daemon thread for the life of the web process."""
    thread = threading.Thread(target=_listen_forever, name='version-listener', daemon=True)
    thread.start()
    return thread


def handle(message: bytes | str) -> None:
    """Load the version that a message speaks of."""
    content = json.loads(message)
    close_old_connections()
    try:
        row = gate.active(int(content['project']), str(content['backend']))
        if row is not None:
            host.warm(row)
    finally:
        close_old_connections()


def _listen_forever() -> None:
    while True:
        try:
            _listen()
        except RedisError as error:
            logger.debug('The queue is away, listening again soon: %s', error)
        except Exception:
            logger.exception('A message about a new version could not be handled')
        time.sleep(RETRY_SECONDS)


def _listen() -> None:
    connection = django_rq.get_connection(settings.ML_TRAIN_QUEUE)
    with connection.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(CHANNEL)
        for message in subscription.listen():
            handle(message['data'])
