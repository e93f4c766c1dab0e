"""The `Run` that ``fit`` talks to: progress and heartbeat into the row, messages into the log."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training.lifecycle import owned
from label_studio.ml_host.training.run_log import RunLog
from label_studio.ml_host.training.stopping import StopFlags, interrupt_main
from ml_plugins.plain import storable_text
from ml_plugins.task_data import without_task
from ml_plugins.types import VersionFiles

logger = logging.getLogger(__name__)

WRITE_EVERY = 0.5
LOOK_EVERY = 1.0
BEAT_EVERY = 5.0
# How long a plugin may ignore Cancel before it is interrupted, in seconds.
CANCEL_GRACE = 20.0
MAX_SKIPPED = 1000
LARGEST_COUNT = 2**31 - 1


class Recorder:
    """Implements ``ml_plugins.backend.Run``; a context manager, so that the heartbeat ends with it.

    Args:
        run: The running run.
        log: Its log file.
        directory: Private and empty work directory.
        cache_directory: Kept between the runs of one project and backend.
        checkpoint_directory: Kept between the attempts at this run.
        device: Where to compute.
        previous: The version in service, or None.
    """

    def __init__(
        self,
        run: TrainingRun,
        log: RunLog,
        directory: Path,
        cache_directory: Path,
        checkpoint_directory: Path,
        device: str = 'cpu',
        previous: VersionFiles | None = None,
    ) -> None:
        self.directory = directory
        self.cache_directory = cache_directory
        self.checkpoint_directory = checkpoint_directory
        self.seed = run.seed
        self.device = device
        self.previous = previous
        self.flags = StopFlags()
        self.metrics: dict[str, float | None] = {}
        self.skipped: list[dict[str, Any]] = []
        self._run = run
        self._log = log
        self._pending: dict[str, Any] = {}
        self._written_at = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f'run-{run.pk}-heartbeat', daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closed.set()
        self._thread.join(timeout=10)
        self.flush()

    def progress(self, done: int, total: int, **metrics: float) -> None:
        """Keep progress and metrics; raises `TrainingCancelledError` once the run has to stop."""
        self.flags.check()
        self.metrics.update(clean_metrics(metrics))
        self._pending.update(_storable_counts(done, total), metrics=dict(self.metrics))
        if time.monotonic() - self._written_at >= WRITE_EVERY:
            self.flush()

    def log(self, message: str) -> None:
        """Write a line into the run's log."""
        self._log.write(message)

    def skip(self, task_id: int | None, reason: str) -> None:
        """Keep and log a task that cannot be used."""
        reason = without_task(task_id, str(reason))
        self._log.write(f'Task {task_id} is skipped: {reason}')
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append({'task': task_id, 'reason': storable_text(reason)})
            self._pending['skipped'] = list(self.skipped)

    def should_stop(self) -> bool:
        """Whether somebody pressed Cancel or the worker is shutting down."""
        return self.flags.any

    def flush(self) -> None:
        """Write what is not in the row yet."""
        values, self._pending = self._pending, {}
        self._written_at = time.monotonic()
        if values:
            self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        """Report to the row; a database that is away for a moment does not end hours of training."""
        try:
            if not owned(self._run).update(**values):
                self.flags.taken_away.set()
        except DatabaseError as error:
            logger.warning('Training run %s could not report: %s', self._run.pk, error)
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()

    def _beat(self) -> None:
        beat_at = stop_since = 0.0
        interrupted = False
        try:
            while not self._closed.wait(LOOK_EVERY):
                now = time.monotonic()
                if now - beat_at >= BEAT_EVERY:
                    self._write({'heartbeat_at': timezone.now()})
                    beat_at = now
                self._look()
                stop_since = (stop_since or now) if self.flags.any else 0.0
                if stop_since and now - stop_since > CANCEL_GRACE and not interrupted:
                    self._log.write('The backend did not stop when it was asked to; it is interrupted.')
                    interrupted = True
                    interrupt_main()
        finally:
            # This thread's own connection; Django would keep it open.
            connection.close()

    def _look(self) -> None:
        try:
            if TrainingRun.objects.filter(pk=self._run.pk, cancel_requested=True).exists():
                self.flags.cancelled.set()
        except DatabaseError:
            connection.close_if_unusable_or_obsolete()


def _storable_counts(done: float, total: float) -> dict[str, int]:
    """Counts that fit the columns; those of bytes may not, and are scaled down together."""
    scale = max(1.0, done / LARGEST_COUNT, total / LARGEST_COUNT)
    return {'done': max(0, int(done / scale)), 'total': max(0, int(total / scale))}


def clean_metrics(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Plain numbers for a JSON field; NaN and infinity become None, which JSON can hold.

    Raises:
        TypeError: A value is not a number.
    """
    cleaned: dict[str, float | None] = {}
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f'metric "{name}" is {value!r}, which is not a number') from error
        cleaned[storable_text(str(name))] = number if math.isfinite(number) else None
    return cleaned
