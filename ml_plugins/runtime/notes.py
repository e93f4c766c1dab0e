"""Record failures of a model at work without flooding the log and the page."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from ml_plugins.failures import PluginFailure, Stage, describe, failure_log, record_failure
from ml_plugins.plain import storable_text
from ml_plugins.runtime import metrics

logger = logging.getLogger(__name__)

# A run over a hundred thousand tasks may fail in every batch: so many records are made in so many seconds.
MOST = 10
SECONDS = 60.0


class FailureNotes:
    """Failures of one model: all are counted, the first of each minute are recorded with their traceback."""

    def __init__(self, plugin: str, project_id: int | None) -> None:
        self._plugin = plugin
        self._project_id = project_id
        self._made: deque[float] = deque(maxlen=MOST)
        self._left_out = 0
        self._lock = threading.Lock()

    def record(self, stage: Stage, error: BaseException) -> None:
        """Record a failure, or only count it when there were many of late."""
        now = time.monotonic()
        with self._lock:
            if len(self._made) == MOST and now - self._made[0] < SECONDS:
                self._left_out += 1
                metrics.failure(self._plugin, stage)
                return
            self._made.append(now)
            left_out, self._left_out = self._left_out, 0
        if left_out:
            logger.warning('%s failed %d more times; those were not recorded one by one', self._plugin, left_out)
        record_failure(self._plugin, stage, error, self._project_id)

    def notice(self, text: str) -> None:
        """Record what the model has to say."""
        failure_log.record(PluginFailure(self._plugin, Stage.NOTICE, storable_text(text), project_id=self._project_id))

    def mended(self, error: BaseException) -> None:
        """Note a batch that failed as a whole and not in parts."""
        logger.info('%s: a batch had to be split: %s', self._plugin, describe(error))
