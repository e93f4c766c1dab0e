"""What a resident model has done so far, in numbers for the page."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

# Newest measurements that the percentiles are made of.
KEPT = 512
# Weight of the newest batch in the running speed.
WEIGHT = 0.2


@dataclass(frozen=True)
class ModelStats:
    """A snapshot of one resident model.

    Attributes:
        requests: Requests taken so far.
        batches: Batches computed.
        tasks: Tasks in those batches.
        mean_batch: Tasks a batch; 0 before the first one.
        wait_p50_ms: Time in the queue that half of the newest requests did not exceed; None before the first batch.
        wait_p95_ms: The same for 95 of 100.
        inference_p50_ms: Time of a batch in the model, likewise.
        inference_p95_ms: The same for 95 of 100.
        tasks_per_second: Running speed with all checks, while there is work; None before the first batch.
        waiting: Tasks in the queue now.
        memory_bytes: Memory the model takes, as it says itself or as measured while loading.
    """

    requests: int
    batches: int
    tasks: int
    mean_batch: float
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    inference_p50_ms: float | None
    inference_p95_ms: float | None
    tasks_per_second: float | None
    waiting: int
    memory_bytes: int


class StatsRecorder:
    """Counts what a model's thread does; read from other threads."""

    def __init__(self) -> None:
        self.speed: float | None = None
        self._requests = self._batches = self._tasks = 0
        self._waits: deque[float] = deque(maxlen=KEPT)
        self._inferences: deque[float] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def request(self) -> None:
        """Count a request."""
        with self._lock:
            self._requests += 1

    def batch(self, tasks: int, seconds: float, inference: float, waits: Iterable[float]) -> None:
        """Count a batch.

        Args:
            seconds: How long it took with all checks.
            inference: How much of that the model took.
            waits: How long the requests waited that were first served by it.
        """
        speed = tasks / max(seconds, 1e-6)
        with self._lock:
            self._batches += 1
            self._tasks += tasks
            self._inferences.append(inference)
            self._waits.extend(waits)
            self.speed = speed if self.speed is None else (1 - WEIGHT) * self.speed + WEIGHT * speed

    def snapshot(self, waiting: int, memory_bytes: int) -> ModelStats:
        """The numbers now."""
        with self._lock:
            waits, inferences = sorted(self._waits), sorted(self._inferences)
            return ModelStats(
                requests=self._requests,
                batches=self._batches,
                tasks=self._tasks,
                mean_batch=self._tasks / self._batches if self._batches else 0.0,
                wait_p50_ms=_percentile_ms(waits, 0.5),
                wait_p95_ms=_percentile_ms(waits, 0.95),
                inference_p50_ms=_percentile_ms(inferences, 0.5),
                inference_p95_ms=_percentile_ms(inferences, 0.95),
                tasks_per_second=self.speed,
                waiting=waiting,
                memory_bytes=memory_bytes,
            )


def _percentile_ms(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000
