"""An RQ worker that forks a child for each job, and keeps runs honest when children or it itself end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job

from label_studio.ml_host.analysis import queueing as analyses
from label_studio.ml_host.analysis import recovery as lost_analyses
from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.prelabeling import jobs as prelabeling
from label_studio.ml_host.training import lifecycle, stopping
from label_studio.ml_host.training.checkpoints import remove_if_ended
from label_studio.ml_host.training.lifecycle import State, process_name
from label_studio.ml_host.training.limits import Guard
from label_studio.ml_host.training.queueing import JOB
from label_studio.ml_host.training.recovery import recover_in_passing
from label_studio.ml_host.training.run_log import RunLog

logger = logging.getLogger(__name__)

# How long a run may take to stop by itself when the worker stops, in seconds.
STOP_GRACE = 8.0


class TrainingWorker(Worker):
    """An RQ worker whose training runs survive its own end and that of its children."""

    is_stopping = False
    # Longest pause between two tries to reach Redis, in seconds.
    max_connection_wait_time = 10.0
    _trains = False
    _analyses = False
    _guard: Guard | None = None
    # Jobs of ours stop when they are asked, and lose nothing.
    _stops_when_asked = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """First SIGTERM or SIGINT: a run is asked to stop; another worker goes on with it."""
        self.is_stopping = True
        if self.horse_pid and self._stops_when_asked:
            self._kill_horse_quietly(signal.SIGTERM)
            timer = threading.Timer(STOP_GRACE, self._kill_horse_quietly, [signal.SIGKILL])
            timer.daemon = True
            timer.start()
        try:
            super().request_stop(signum, frame)
        except RedisError:
            # Redis often ends together with us; the loop ends all the same.
            self._stop_requested = True

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Second signal: the child ends at once; the run goes back into the queue."""
        pid = self.horse_pid
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if pid:
                self._deal_with_killed(pid, signal.SIGKILL)
                lost_analyses.deal_with_killed(pid, self.is_stopping, _killed_sentence(signal.SIGKILL, 'analysis'))
            raise

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in a child process of its own."""
        # A child must not share its parent's database connections.
        connections.close_all()
        self._trains = job.func_name == JOB
        self._analyses = job.func_name == analyses.JOB
        analyses.note_served(self.queue_names())
        self._stops_when_asked = self._trains or self._analyses or job.func_name == prelabeling.JOB
        try:
            super().execute_job(job, queue)
        finally:
            self._end_guard()
            self._trains = self._analyses = self._stops_when_asked = False

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """As in RQ; a training is watched from here."""
        super().fork_work_horse(job, queue)
        if self._trains:
            kill = partial(self._kill_horse_quietly, signal.SIGKILL)
            self._guard = Guard(self.horse_pid, kill, settings.ML_TRAINING_MEMORY, settings.ML_TRAINING_TIMEOUT)
            self._guard.start()

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The child's life; it ends with its worker and leaves the processor to the web server."""
        try:
            from label_studio.ml_host.launcher.lifetime import die_with_parent

            die_with_parent(signal.SIGKILL, self.pid)
            os.nice(10)
            # Read when torch is loaded, later. Its threads would wait for each other actively, which takes processors
            # from the pages and, as soon as somebody else computes, makes a training several times slower.
            os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        except Exception:
            # Nothing may return from here into the parent's loop.
            logger.exception('The child of the worker could not start')
            os._exit(1)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Runs are asked to stop by SIGTERM; any other job ends by it, as in RQ."""
        if self._trains or self._analyses:
            stopping.install_handlers()
        elif self._stops_when_asked:
            prelabeling.stop_on_signal()
        else:
            super().setup_work_horse_signals()

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """The child ended without having written down how: retry, hand back or fail its run."""
        number = os.WTERMSIG(ret_val) if ret_val and os.WIFSIGNALED(ret_val) else 0
        pid = retpid or (self._guard.pid if self._guard else 0)
        self._deal_with_killed(pid, number)
        lost_analyses.deal_with_killed(pid, self.is_stopping, _killed_sentence(number, 'analysis'))
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Any = None) -> None:
        """As in RQ, except that Redis being away does not leave a child without its worker."""
        with contextlib.suppress(RedisError):
            super().set_current_job_working_time(current_job_working_time, pipeline)

    def maintain_heartbeats(self, job: Job) -> None:
        """As in RQ, except that Redis being away does not leave a child without its worker."""
        with contextlib.suppress(RedisError):
            super().maintain_heartbeats(job)

    def run_maintenance_tasks(self) -> None:
        """RQ's own, and ours: lost runs."""
        super().run_maintenance_tasks()
        recover_in_passing()
        lost_analyses.recover_in_passing()

    def _kill_horse_quietly(self, number: signal.Signals) -> None:
        pid = self.horse_pid
        with contextlib.suppress(OSError):
            if pid and number == signal.SIGKILL and os.getpgid(pid) != os.getpgrp():
                self.kill_horse(number)
            elif pid:
                # Its own children, such as data loaders, are its business while it can act.
                os.kill(pid, number)

    def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.stop()
            if guard.exceeded:
                # RQ may have had nothing to say about it, as it has without Redis.
                self._deal_with_killed(guard.pid, signal.SIGKILL, guard.exceeded)

    def _deal_with_killed(self, pid: int, number: int, exceeded: str = '') -> None:
        if not pid:
            return
        exceeded = exceeded or (self._guard.exceeded if self._guard is not None else '')
        try:
            run = TrainingRun.objects.filter(worker=process_name(pid), state=State.RUNNING).first()
            if run is None or not lifecycle.process_is_gone(run.worker):
                return
            if exceeded:
                _say(run, f'Failed: {exceeded}')
                lifecycle.finish(run, State.FAILED, exceeded)
            elif self.is_stopping and not run.cancel_requested:
                lifecycle.hand_back(run)
            else:
                lifecycle.retry_or_fail(run, _killed_sentence(number))
            remove_if_ended(run)
            lifecycle.start_waiting(run)
        except Exception:
            logger.exception('The training run of process %s lost it; it is recovered later', pid)
        finally:
            connections.close_all()


def _say(run: TrainingRun, sentence: str) -> None:
    log = RunLog(run_log_path(Path(settings.ML_LOG_DIR), run.pk))
    log.write(sentence)
    log.close()


def _killed_sentence(number: int, what: str = 'training') -> str:
    if number == signal.SIGKILL:
        return f'The {what} process was killed (signal 9); the usual cause is that the machine ran out of memory.' + (
            ' Try a smaller batch or a smaller model.' if what == 'training' else ''
        )
    if number:
        return f'The {what} process crashed (signal {number}, {signal.Signals(number).name}).'
    return f'The {what} process ended without a word.'
