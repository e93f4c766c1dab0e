"""Looks after bulk runs in every web process: begins and ends them, and works on them or hands them to the queue.

Every process may run one; each step is a conditional update that only one of them can make.
"""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from redis.exceptions import RedisError

from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling import jobs, lifecycle, shards, wakeup
from label_studio.ml_host.prelabeling import lease as leases
from label_studio.ml_host.prelabeling.arrivals import Arrivals
from label_studio.ml_host.prelabeling.courtesy import be_humble
from label_studio.ml_host.prelabeling.lifecycle import State
from label_studio.ml_host.prelabeling.turns import work_next

logger = logging.getLogger(__name__)

TICK_SECONDS = 2.0
# How long stopping work may take before the process ends without it.
STOP_SECONDS = 3.0


def start() -> Conductor:
    """Start this process's conductor unless it runs already."""
    return _conductors.start()


def stop() -> None:
    """Stop working and give everything back, so that the next process goes on at once."""
    if (ending := _conductors.take()) is not None:
        ending.stop()


class Conductor:
    """The threads of one process."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._arrivals = Arrivals()
        workers = settings.ML_PRELABEL_THREADS if works_here() else 0
        self._threads = [
            threading.Thread(target=self._conduct, name='prelabel-conductor', daemon=True),
            *(
                threading.Thread(target=self._work, name=f'prelabel-{number}', daemon=True)
                for number in range(1, workers + 1)
            ),
        ]

    def start(self) -> None:
        """Begin; returns at once."""
        leases.open_again()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, as far as they can be ended soon."""
        self._stopping.set()
        leases.close()
        wakeup.work.ring()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def tick(self) -> None:
        """Look after everything once."""
        leases.renew()
        begin_runs()
        end_runs()
        self._arrivals.look()
        if not works_here():
            hand_to_queue()

    def _conduct(self) -> None:
        while not self._stopping.is_set():
            heard = wakeup.work.rings
            try:
                # The connection stays open between two looks.
                self.tick()
            except DatabaseError as error:
                logger.warning('Pre-label runs could not be looked after: %s', error)
                connection.close()
            except Exception:
                logger.exception('Pre-label runs could not be looked after')
            wakeup.work.wait(heard, TICK_SECONDS)

    def _work(self) -> None:
        be_humble()
        while not self._stopping.is_set():
            heard = wakeup.work.rings
            try:
                worked = work_next()
            except DatabaseError as error:
                logger.warning('Pre-labeling goes on when the database answers: %s', error)
                connection.close()
                self._stopping.wait(TICK_SECONDS)
                continue
            except Exception:
                logger.exception('Pre-labeling was interrupted')
                worked = False
            if not worked:
                wakeup.work.wait(heard, TICK_SECONDS)


_conductors = PerProcess(Conductor)


def works_here() -> bool:
    """Whether web processes work on runs themselves."""
    return settings.ML_PRELABEL_WHERE != 'queue'


def begin_runs() -> None:
    """Begin waiting runs, the oldest first; at most one of each project and backend runs at a time.

    What somebody asked for goes before what the server does by itself after a new version.
    """
    waiting = list(PrelabelRun.objects.filter(state=State.QUEUED).order_by('refresh', 'id'))
    if not waiting:
        return
    busy = set(PrelabelRun.objects.filter(state=State.RUNNING).values_list('project_id', 'backend'))
    for run in waiting:
        if (run.project_id, run.backend) in busy and not _may_go_first(run):
            continue
        busy.add((run.project_id, run.backend))
        with transaction.atomic():
            if not lifecycle.claim(run.pk):
                continue
            if not works_here():
                shards.split(run, settings.ML_PRELABEL_SHARD)
        wakeup.work.ring()


def _may_go_first(run: PrelabelRun) -> bool:
    return not run.refresh and lifecycle.pause_refresh(run.project_id, run.backend)


def end_runs() -> None:
    """End runs of which nothing is left, and cancelled ones that nobody works on any more."""
    for run in PrelabelRun.objects.filter(state=State.RUNNING):
        if not run.cancel_requested:
            lifecycle.end_if_complete(run)
        elif all(leases.is_free(shard) for shard in PrelabelShard.objects.filter(run=run, ended=False)):
            lifecycle.end(run, State.CANCELLED, run.error)


def hand_to_queue() -> None:
    """See that every shard has a job; says so when the queue cannot be reached."""
    try:
        jobs.enqueue_waiting()
    except (RedisError, OSError) as error:
        logger.warning('Pre-label runs wait for the queue: %s', error)
        for run in PrelabelRun.objects.filter(state=State.RUNNING, note=''):
            lifecycle.say(run.pk, f'Waiting: the queue cannot be reached ({error}).')
