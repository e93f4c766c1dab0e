"""What a batch means for a model's statistics, its circuit breaker and the log of failures."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ml_plugins.failures import Stage
from ml_plugins.runtime import metrics
from ml_plugins.runtime.batching import Outcome
from ml_plugins.runtime.breaker import CircuitBreaker
from ml_plugins.runtime.notes import FailureNotes
from ml_plugins.runtime.stats import StatsRecorder
from ml_plugins.runtime.waiting import Slice


class Judge:
    """Looks at each batch of one model.

    Args:
        plugin: Name of the model's plugin.
        breaker: Told whether the batch succeeded.
        notes: Where failures are kept.
        stats: Where batches are counted.
    """

    def __init__(self, plugin: str, breaker: CircuitBreaker, notes: FailureNotes, stats: StatsRecorder) -> None:
        self._plugin = plugin
        self._breaker = breaker
        self._notes = notes
        self._stats = stats

    def count(self, slices: Sequence[Slice], tasks: int, started: float, computed: float) -> None:
        """Count a batch.

        Args:
            slices: The parts of requests that it was made of.
            tasks: How many tasks it held.
            started: Value of ``time.monotonic()`` at its start.
            computed: Seconds spent in the plugin.
        """
        waits = [started - request.arrived for request, start, _ in slices if start == 0]
        self._stats.batch(tasks, time.monotonic() - started, computed, waits)
        metrics.batch(self._plugin, tasks)
        metrics.inference(self._plugin, computed)
        for wait in waits:
            metrics.queue_wait(self._plugin, wait)

    def judge(self, outcome: Outcome, refused: list[Exception]) -> bool:
        """Tell the breaker and the failure log about a batch, once, whatever it was split into.

        Args:
            refused: Answers that are no predictions, one error each.

        Returns:
            Whether anything of it succeeded.
        """
        causes = [answer for answer in outcome.answers if isinstance(answer, Exception)] if outcome.failed else []
        succeeded = len(causes) + len(refused) < len(outcome.answers)
        if succeeded:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
            causes = [outcome.error] if outcome.error else []
        causes += refused
        if causes:
            self._notes.record(Stage.PREDICT, causes[0])
        elif outcome.error is not None:
            self._notes.mended(outcome.error)
        return succeeded
