"""Figures of this process in Prometheus format; prometheus_client is imported when the first one arrives."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ml_plugins.failures import failure_log

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_lock = threading.Lock()
_made: _Figures | None = None


class _Figures:
    """A registry of our own, so that a plugin's use of the client library's global one stays its business."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Histogram
        from prometheus_client import Counter as Count

        self.registry = CollectorRegistry()
        own: dict[str, Any] = {'namespace': 'label_studio_ml', 'registry': self.registry}
        self.requests = Count('requests', 'Requests for predictions.', ['plugin', 'priority'], **own)
        self.batch = Histogram('batch_size', 'Tasks in one batch.', ['plugin'], buckets=_SIZES, **own)
        self.queue_wait = Histogram(
            'queue_wait_seconds', 'How long a task waited for its batch.', ['plugin'], buckets=_SHORT, **own
        )
        self.inference = Histogram(
            'inference_seconds', 'How long one batch took in the model.', ['plugin'], buckets=_SHORT, **own
        )
        self.loads = Count('loads', 'Models loaded, and tries that failed.', ['plugin', 'result'], **own)
        self.load = Histogram('load_seconds', 'How long loading a model took.', ['plugin'], buckets=_LONG, **own)
        self.extra_failures: Counter[tuple[str, str]] = Counter()
        self.registry.register(self)

    def describe(self) -> list[Any]:
        """Asked when the collector is registered: what it will give needs no check for doubles."""
        return []

    def collect(self) -> Iterator[Any]:
        """Failures: the recorded ones are counted by their log, from the start of the process on."""
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily('label_studio_ml_failures', 'Failures of plugins.', labels=['plugin', 'stage'])
        with _lock:
            extra = Counter(self.extra_failures)
        for labels, count in sorted((failure_log.counts() + extra).items()):
            family.add_metric(labels, count)
        yield family


def request(plugin: str, priority: Any) -> None:
    """Count a request.

    Args:
        plugin: The plugin's name.
        priority: A `Priority` or the name of one.
    """
    _figures().requests.labels(plugin, str(getattr(priority, 'name', priority)).lower()).inc()


def batch(plugin: str, size: int) -> None:
    """Note how many tasks one batch held."""
    _figures().batch.labels(plugin).observe(size)


def queue_wait(plugin: str, seconds: float) -> None:
    """Note how long a task waited in the queue."""
    _figures().queue_wait.labels(plugin).observe(seconds)


def inference(plugin: str, seconds: float) -> None:
    """Note how long the model took for one batch."""
    _figures().inference.labels(plugin).observe(seconds)


def load(plugin: str, seconds: float, ok: bool) -> None:
    """Note how long loading a model took, and whether it worked."""
    figures = _figures()
    figures.loads.labels(plugin, 'ok' if ok else 'failed').inc()
    if ok:
        figures.load.labels(plugin).observe(seconds)


def failure(plugin: str, stage: Any) -> None:
    """Count a failure that is not recorded with its traceback; those in `ml_plugins.failures` count by themselves.

    Args:
        plugin: The plugin's name.
        stage: A `Stage` or a short word.
    """
    figures = _figures()
    with _lock:
        figures.extra_failures[plugin, str(getattr(stage, 'value', stage))] += 1


def text() -> bytes:
    """Everything, in the text format that Prometheus reads."""
    from prometheus_client import generate_latest

    return generate_latest(_figures().registry)


def _figures() -> _Figures:
    global _made
    if _made is None:
        with _lock:
            if _made is None:
                _made = _Figures()
    return _made
