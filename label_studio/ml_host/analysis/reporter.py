"""Between an analysis and its row: progress and heartbeat into it, cancel and stop out of it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from label_studio.ml_host.analysis.lifecycle import owned
from label_studio.ml_host.models.analysis import Analysis
from label_studio.ml_host.training.stopping import StopFlags, can_interrupt, interrupt_main

logger = logging.getLogger(__name__)

WRITE_EVERY = 0.5
LOOK_EVERY = 1.0
BEAT_EVERY = 5.0
# How long code may ignore that it should stop before it is interrupted, and again as long before its process is ended.
STOP_GRACE = 5.0


class Reporter:
    """A context manager, so that the heartbeat ends with it.

    Args:
        run: The running run.
    """

    def __init__(self, run: Analysis) -> None:
        self.flags = StopFlags()
        self._run = run
        self._pending: dict[str, Any] = {}
        self._written_at = 0.0
        self._step_ends_at: float | None = None
        self._step_seconds = 0.0
        self._is_late = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f'analysis-{run.pk}', daemon=True)

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closed.set()
        self._thread.join(timeout=10)
        self._flush()

    def progress(self, done: int, total: int, note: str) -> None:
        """Keep how far it is; raises `TrainingCancelledError` once the run has to stop."""
        self.flags.check()
        if self._step_ends_at is not None:
            self._step_ends_at = time.monotonic() + self._step_seconds
        self._pending.update(done=done, total=total, note=note[:200])
        if time.monotonic() - self._written_at >= WRITE_EVERY:
            self._flush()

    def keep(self, result: Mapping[str, Any]) -> None:
        """Keep what was found so far: the run goes on from there, should its process be lost."""
        self._pending['result'] = dict(result)
        self._flush()

    def should_stop(self) -> bool:
        """Whether somebody pressed Cancel, the worker is shutting down, or a step takes too long."""
        return self.flags.any or self._is_late

    @contextmanager
    def step(self, seconds: float) -> Iterator[None]:
        """While it lasts, code that reports no progress for so long is interrupted; raises `TimeoutError` then."""
        self._step_seconds = seconds
        self._step_ends_at, self._is_late = time.monotonic() + seconds, False
        try:
            yield
        except Exception as error:
            # What is interrupted may hand that on as an error of its own.
            self.flags.check()
            if self._is_late:
                raise TimeoutError(f'it took more than {seconds:g} s') from error
            raise
        finally:
            self._step_ends_at, self._is_late = None, False

    def _flush(self) -> None:
        values, self._pending = self._pending, {}
        self._written_at = time.monotonic()
        if values:
            self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        try:
            if not owned(self._run).update(**values):
                self.flags.taken_away.set()
        except DatabaseError as error:
            logger.warning('%s could not report: %s', self._run, error)
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()

    def _beat(self) -> None:
        beat_at = stop_since = 0.0
        interrupted_at = 0.0
        try:
            while not self._closed.wait(LOOK_EVERY):
                now = time.monotonic()
                if now - beat_at >= BEAT_EVERY:
                    self._write({'heartbeat_at': timezone.now()})
                    beat_at = now
                self._look()
                if not self.should_stop():
                    stop_since = interrupted_at = 0.0
                    continue
                stop_since = stop_since or now
                if not interrupted_at and (self._is_late or now - stop_since > STOP_GRACE):
                    interrupted_at = now
                    interrupt_main()
                elif interrupted_at and now - interrupted_at > STOP_GRACE:
                    _end_process(self._run)
        finally:
            # This thread's own connection; Django would keep it open.
            connection.close()

    def _look(self) -> None:
        ends_at = self._step_ends_at
        if ends_at is not None and time.monotonic() > ends_at:
            self._is_late = True
        try:
            if type(self._run).objects.filter(pk=self._run.pk, cancel_requested=True).exists():
                self.flags.cancelled.set()
        except DatabaseError:
            connection.close_if_unusable_or_obsolete()


def _end_process(run: Analysis) -> None:
    """Native code that listens to nobody ends with its process; the worker says what becomes of the run."""
    if can_interrupt():
        logger.warning('%s did not stop; its process is ended', run)
        os.kill(os.getpid(), signal.SIGKILL)
