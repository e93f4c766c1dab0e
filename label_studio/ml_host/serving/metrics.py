"""What is read when Prometheus asks: models and breakers of this process, and bulk runs from the database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Q, Sum
from django.utils import timezone

from label_studio.ml_host.models import PrelabelRun
from label_studio.ml_host.serving import host
from ml_plugins.runtime import metrics

logger = logging.getLogger(__name__)

PREFIX = 'label_studio_ml'
# A run that has ended is shown for so long, so that its last numbers are seen.
SHOWN_AFTER_END = timedelta(minutes=15)


def text() -> tuple[bytes, str]:
    """Everything in Prometheus's text format, and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector())
    return metrics.text() + generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        yield from _models()
        yield _breakers()
        try:
            # Read before anything is given out: a half of the numbers would look like all of them.
            runs = [*_runs()]
        except DatabaseError as error:
            logger.warning('The bulk runs are missing in the metrics: %s', error)
            return
        yield from runs


def _gauge(name: str, description: str, *labels: str) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f'{PREFIX}_{name}', description, labels=labels)


def _models() -> Iterator[Any]:
    models = host.loaded_models()
    number = _gauge('resident_models', 'Models in memory of this process.')
    number.add_metric([], len(models))
    memory, waiting = Counter(), Counter()
    for model in models:
        # Two may have the same names for a while: the one with new parameters and the one with old ones.
        names = (model.spec.plugin, _text(model.spec.project_id), _text(model.spec.version_number))
        memory[names] += model.memory_bytes
        waiting[names] += model.waiting
    own = ('plugin', 'project', 'version')
    taken = _gauge('model_memory_bytes', 'Memory that a resident model takes.', *own)
    queue = _gauge('queue_length', 'Tasks that wait for a resident model.', *own)
    for names in sorted(memory):
        taken.add_metric(names, memory[names])
        queue.add_metric(names, waiting[names])
    yield from (number, taken, queue)


def _breakers() -> Any:
    family = _gauge('breaker_open', 'Whether a backend rests after repeated failures.', 'plugin', 'project')
    for (plugin, project_id), breaker in host.breakers().items():
        family.add_metric([plugin, _text(project_id)], int(breaker.is_open))
    return family


def _runs() -> Iterator[Any]:
    states = _gauge('prelabel_runs', 'Bulk pre-labeling runs that are kept, by state.', 'state')
    counted = dict(PrelabelRun.objects.order_by().values_list('state').annotate(Count('pk')))
    for state in PrelabelRun.State.values:
        states.add_metric([state], counted.get(state, 0))
    own = ('run', 'project', 'plugin')
    size = _gauge('prelabel_run_size', 'Tasks that a run is about.', *own)
    tasks = _gauge('prelabel_run_tasks', 'Tasks that a run has dealt with.', *own, 'result')
    recent = Q(ended_at__gte=timezone.now() - SHOWN_AFTER_END) | ~Q(state__in=PrelabelRun.ENDED)
    results = ('done', 'skipped', 'failed')
    sums = {f'sum_{result}': Sum(f'shards__{result}') for result in results}
    for run in PrelabelRun.objects.filter(recent).defer('selection').annotate(**sums).order_by('pk'):
        names = [str(run.pk), str(run.project_id), run.backend]
        size.add_metric(names, run.total)
        for result in results:
            tasks.add_metric([*names, result], getattr(run, f'sum_{result}') or 0)
    yield from (states, size, tasks)


def _text(number: int | None) -> str:
    return '' if number is None else str(number)
