"""Webhooks and trainings of HTTP backends, sent by a thread of their own: nobody's request waits for them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Hashable
from typing import Any

from django.db import close_old_connections

from label_studio.ml_host.per_process import PerProcess
from ml_plugins.failures import Stage, record_failure

logger = logging.getLogger(__name__)

# More are not kept for a backend that does not keep up; what is dropped is logged.
MOST_WAITING = 1000
# One backend that hangs must not hold up the others for long; events of one backend stay in order.
LANES = 4


class Lane:
    """One thread that works calls off in their order."""

    def __init__(self, number: int) -> None:
        self._calls: queue.Queue[tuple[Hashable, Callable[[], None]]] = queue.Queue(MOST_WAITING)
        self._waiting: set[Hashable] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=f'http-backends-{number}', daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None], once: Hashable = None) -> bool:
        """Have a call made later; False when it was dropped, or one of the same name waits already."""
        with self._lock:
            if once is not None and once in self._waiting:
                return False
            try:
                self._calls.put_nowait((once, call))
            except queue.Full:
                logger.warning('A call of an HTTP backend is dropped: %s others wait', MOST_WAITING)
                return False
            if once is not None:
                self._waiting.add(once)
        return True

    def join(self) -> None:
        """Wait until everything that was put is done."""
        self._calls.join()

    def _work(self) -> None:
        while True:
            once, call = self._calls.get()
            with self._lock:
                self._waiting.discard(once)
            try:
                call()
            except Exception:
                logger.exception('A call of an HTTP backend failed')
            finally:
                close_old_connections()
                self._calls.task_done()


class Lanes:
    """The threads of one process."""

    def __init__(self) -> None:
        self._lanes: list[Lane] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._lanes = [Lane(number) for number in range(LANES)]

    def of(self, url: str) -> Lane:
        """The thread that serves an address."""
        return self._lanes[hash(url) % LANES]

    def join(self) -> None:
        """Wait until nothing is left to do."""
        for lane in self._lanes:
            lane.join()


_lanes = PerProcess(Lanes)


def join() -> None:
    """Wait until everything that was asked for is done, for tests."""
    if (lanes := _lanes.current()) is not None:
        lanes.join()


def send(url: str, call: Callable[[], Any]) -> None:
    """Deliver a webhook later, after those before it."""

    def deliver() -> None:
        try:
            call()
        except Exception as error:
            logger.warning('A webhook of %s was not delivered: %s', url.rpartition('@')[2], error)

    _lanes.start().of(url).put(deliver)


def train(connection: Any, original: Callable[..., Any]) -> None:
    """Ask a backend to train, later; its row says how that went, and a request that waits already is enough."""
    from label_studio.ml_host.upstream import MLBackendState, UpstreamMLBackend

    number = connection.pk

    def ask() -> None:
        row = UpstreamMLBackend.objects.select_related('project').filter(pk=number).first()
        if row is None:
            return
        original(row)
        if row.state == MLBackendState.ERROR:
            error = RuntimeError(f'The training that was asked for failed: {row.error_message}')
            record_failure(f'http-{number}', Stage.FIT, error, row.project_id)

    if _lanes.start().of(connection.url).put(ask, once=('train', number)):
        connection.state = MLBackendState.TRAINING
        connection.error_message = None
        UpstreamMLBackend.objects.filter(pk=number).update(state=connection.state, error_message=None)
