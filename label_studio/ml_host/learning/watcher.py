"""One thread in each web process that sees when a backend has new labels to learn from.

Annotation signals only tell it, in memory, which project to look at; it counts in the database a moment later, when the
annotator has long been answered. It also looks at every project now and then, for what comes past the signals: bulk
imports, deletions in bulk, other processes, and the time of day.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection

from django.db import DatabaseError, connection

from label_studio.ml_host.learning import triggers
from label_studio.ml_host.learning.guard import Guard
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling.courtesy import be_humble, give_way

logger = logging.getLogger(__name__)

# Labels that come together are counted together.
DEBOUNCE_SECONDS = 0.5
POLL_SECONDS = 2.0
# Looking takes at most this share of the time, however many projects and labels there are.
POLL_SHARE = 0.05
LOOK_SHARE = 0.2
STOP_SECONDS = 3.0


def start() -> Watcher:
    """Start this process's watcher unless it runs already."""
    return _watchers.start()


def stop() -> None:
    """Look no more."""
    if (ending := _watchers.take()) is not None:
        ending.stop()


def note(project_id: int | None) -> None:
    """Something happened to the labels of a project; costs a request next to nothing."""
    watcher = _watchers.current()
    if watcher is not None and project_id is not None:
        watcher.note(project_id)


def has_only_plugins(project_id: int | None) -> bool:
    """Whether it is known, without asking the database, that no HTTP backend is connected to a project."""
    watcher = _watchers.current()
    return watcher is not None and project_id in watcher.only_plugins


def forget(project_id: int) -> None:
    """A backend was connected to the project: ask the database again."""
    watcher = _watchers.current()
    if watcher is not None:
        watcher.forget(project_id)


class Watcher:
    """The thread of one process; each training is started by exactly one of them.

    Attributes:
        only_plugins: Projects that no HTTP backend is connected to, as far as it is known.
        rounds: How often it has looked at everything.
    """

    def __init__(self) -> None:
        self.only_plugins: frozenset[int] = frozenset()
        self.rounds = 0
        self._forgotten: set[int] = set()
        self._noted: dict[int, float] = {}
        self._changed = threading.Condition()
        self._is_stopping = False
        self._poll_at = self._rest_until = time.monotonic()
        self._guard = Guard()
        self._thread = threading.Thread(target=self._watch, name='label-watcher', daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, as far as it can be ended soon."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS)

    def note(self, project_id: int) -> None:
        """Look at a project soon; what comes until then is seen by the same look."""
        with self._changed:
            if project_id not in self._noted:
                self._noted[project_id] = time.monotonic()
                self._changed.notify_all()

    def forget(self, project_id: int) -> None:
        """Suppose an HTTP backend, until the database says otherwise."""
        with self._changed:
            self._forgotten.add(project_id)
            self.only_plugins -= {project_id}

    def _watch(self) -> None:
        be_humble()
        try:
            while (found := self._wait()) is not None:
                self._look_in_time(*found)
        finally:
            connection.close()

    def _look_in_time(self, noted: Collection[int], is_round: bool) -> None:
        started = time.monotonic()
        try:
            # The connection stays open between two looks.
            self._look(noted, is_round)
        except DatabaseError as error:
            logger.warning('Labels could not be counted: %s', error)
            connection.close()
        except Exception:
            logger.exception('Labels could not be counted')
        now = time.monotonic()
        self._rest_until = now + (now - started) * (1 / LOOK_SHARE - 1)
        if is_round:
            self.rounds += 1
            self._poll_at = now + max(POLL_SECONDS, (now - started) * (1 / POLL_SHARE - 1))

    def _wait(self) -> tuple[set[int], bool] | None:
        """Projects to look at now, and whether it is time to look at all; None when the thread has to end."""
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                ripe = {pk for pk, at in self._noted.items() if max(at + DEBOUNCE_SECONDS, self._rest_until) <= now}
                if ripe or self._poll_at <= now:
                    for project_id in ripe:
                        del self._noted[project_id]
                    return ripe, self._poll_at <= now
                ripens = max(min(self._noted.values()) + DEBOUNCE_SECONDS, self._rest_until) if self._noted else None
                self._changed.wait(min(self._poll_at, ripens or self._poll_at) - now)
        return None

    def _look(self, noted: Collection[int], is_round: bool) -> None:
        rows = ProjectBackend.objects.filter(enabled=True).select_related('in_service').order_by('id')
        rows = list(rows if is_round else rows.filter(project_id__in=noted))
        if is_round:
            self._remember_plugins({row.project_id for row in rows})
        # Those where something happened come first.
        for row in sorted(rows, key=lambda row: row.project_id not in noted):
            if self._is_stopping:
                return
            give_way()
            self._look_at(row)

    def _remember_plugins(self, project_ids: set[int]) -> None:
        with self._changed:
            self._forgotten.clear()
        found = _without_http_backends(project_ids)
        with self._changed:
            # What was connected while we asked may be missing from the answer.
            self.only_plugins = found - self._forgotten

    def _look_at(self, row: ProjectBackend) -> None:
        if row.learns:
            self._guard.run(row, 'trained', _train)
        self._guard.run(row, 'measured', _measure)


_watchers = PerProcess(Watcher)


def _train(row: ProjectBackend) -> None:
    run = triggers.look(row)
    if run is not None:
        logger.info('%s is trained: %s', row, run.trigger)


def _measure(row: ProjectBackend) -> None:
    """Hold what people submit against what was predicted."""
    from label_studio.ml_host.quality import live

    live.look(row)


def _without_http_backends(project_ids: set[int]) -> frozenset[int]:
    from label_studio.ml_host.enabling.services import PLUGIN_SCHEME
    from label_studio.ml_host.upstream import UpstreamMLBackend

    http = UpstreamMLBackend.objects.exclude(url__startswith=PLUGIN_SCHEME).values_list('project_id', flat=True)
    return frozenset(project_ids - set(http))
