"""An RQ worker that forks a child for each job, and keeps runs honest when children or it itself end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

from django.db import connections
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.prelabeling import jobs as prelabeling
from label_studio.ml_host.training import lifecycle, stopping
from label_studio.ml_host.training.lifecycle import State
from label_studio.ml_host.training.queueing import JOB
from label_studio.ml_host.training.recovery import recover_in_passing

logger = logging.getLogger(__name__)

# How long a run may take to stop by itself when the worker stops, in seconds.
STOP_GRACE = 8.0


class TrainingWorker(Worker):
    """An RQ worker whose training runs survive its own end and that of its children."""

    is_stopping = False
    # Longest pause between two tries to reach Redis, in seconds.
    max_connection_wait_time = 10.0
    _current_run_id: int | None = None
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
        run_id, pid = self._current_run_id, self.horse_pid
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if pid:
                self._deal_with_killed(run_id, signal.SIGKILL)
            raise

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in a child process of its own."""
        # A child must not share its parent's database connections.
        connections.close_all()
        self._current_run_id = _run_id(job)
        self._stops_when_asked = job.func_name in (JOB, prelabeling.JOB)
        try:
            super().execute_job(job, queue)
        finally:
            self._current_run_id, self._stops_when_asked = None, False

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The child's life; it ends with its worker and leaves the processor to the web server."""
        try:
            from label_studio.ml_host.launcher.lifetime import die_with_parent

            die_with_parent(signal.SIGKILL, self.pid)
            os.nice(10)
        except Exception:
            # Nothing may return from here into the parent's loop.
            logger.exception('The child of the worker could not start')
            os._exit(1)
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Runs are asked to stop by SIGTERM; any other job ends by it, as in RQ."""
        if self._current_run_id is not None:
            stopping.install_handlers()
        elif self._stops_when_asked:
            prelabeling.stop_on_signal()
        else:
            super().setup_work_horse_signals()

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """The child ended without having written down how: retry, hand back or fail its run."""
        number = os.WTERMSIG(ret_val) if ret_val and os.WIFSIGNALED(ret_val) else 0
        self._deal_with_killed(_run_id(job), number)
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

    def _kill_horse_quietly(self, number: signal.Signals) -> None:
        pid = self.horse_pid
        with contextlib.suppress(OSError):
            if pid and number == signal.SIGKILL and os.getpgid(pid) != os.getpgrp():
                self.kill_horse(number)
            elif pid:
                # Its own children, such as data loaders, are its business while it can act.
                os.kill(pid, number)

    def _deal_with_killed(self, run_id: int | None, number: int) -> None:
        if run_id is None:
            return
        try:
            run = TrainingRun.objects.filter(pk=run_id, state=State.RUNNING).first()
            if run is None or not lifecycle.process_is_gone(run.worker):
                return
            if self.is_stopping and not run.cancel_requested:
                lifecycle.hand_back(run)
            else:
                lifecycle.retry_or_fail(run, _killed_sentence(number))
            lifecycle.start_waiting(run)
        except Exception:
            logger.exception('Training run %s lost its process; it is recovered later', run_id)
        finally:
            connections.close_all()


def _run_id(job: Job) -> int | None:
    return int(job.args[0]) if job.func_name == JOB and job.args else None


def _killed_sentence(number: int) -> str:
    if number == signal.SIGKILL:
        return (
            'The training process was killed (signal 9); the usual cause is that the machine ran out of memory. '
            'Try a smaller batch or a smaller model.'
        )
    if number:
        return f'The training process crashed (signal {number}, {signal.Signals(number).name}).'
    return 'The training process ended without a word.'
