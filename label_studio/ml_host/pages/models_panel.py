"""The panel of the ML backends page that shows what is in memory of the process that answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access
from label_studio.ml_host.serving import host
from label_studio.ml_host.upstream import Project
from ml_plugins.registry import registry
from ml_plugins.runtime.model import ResidentModel
from ml_plugins.runtime.stats import ModelStats

NOTHING_YET = '-'


@dataclass(frozen=True)
class ModelRow:
    """One resident model as the panel shows it.

    Attributes:
        name: The plugin's name.
        title: Its name for people.
        project: Number and, for people of the same organization, title of the project.
        version: Number of the version; empty for a model that needs no training.
        breaker: What the circuit breaker says; empty when all is well.
    """

    name: str
    title: str
    project: str
    version: str
    is_loading: bool
    stats: ModelStats
    breaker: str

    @property
    def mean_batch(self) -> str:
        """Tasks a batch."""
        return f'{self.stats.mean_batch:.1f}' if self.stats.batches else NOTHING_YET

    @property
    def wait(self) -> str:
        """Time in the queue: the median and what 95 of 100 do not exceed, in milliseconds."""
        return _pair(self.stats.wait_p50_ms, self.stats.wait_p95_ms)

    @property
    def inference(self) -> str:
        """Time of a batch in the model, likewise."""
        return _pair(self.stats.inference_p50_ms, self.stats.inference_p95_ms)


@login_required
@require_GET
def models(request: HttpRequest, pk: int) -> HttpResponse:
    """The panel's content, asked for every few seconds while it is open."""
    project = access.project_of(request.user, pk)
    process = f'{os.getpid()} on {socket.gethostname()}'
    context = {'project': project, 'models': rows_for(request.user), 'process': process}
    return render(request, 'ml_host/_models.html', context)


def rows_for(user: Any) -> list[ModelRow]:
    """Every model of this process, the most recently used first; titles only of the person's own projects."""
    found = host.loaded_models()
    numbers = {model.spec.project_id for model in found}
    own = Project.objects.filter(pk__in=numbers, organization=user.active_organization)
    titles = dict(own.values_list('pk', 'title'))
    return [_row(model, titles) for model in found]


def _row(model: ResidentModel, titles: dict[int, str]) -> ModelRow:
    spec = model.spec
    title = titles.get(spec.project_id)
    return ModelRow(
        name=spec.plugin,
        title=registry.get(spec.plugin).title if spec.plugin in registry else spec.plugin,
        project=f'{spec.project_id} · {title}' if title else str(spec.project_id),
        version='' if spec.version_number is None else str(spec.version_number),
        is_loading=not model.loaded.done(),
        stats=model.stats,
        breaker=host.breaker_state(spec.project_id, spec.plugin) or '',
    )


def _pair(middle: float | None, high: float | None) -> str:
    values: Sequence[float | None] = (middle, high)
    return ' / '.join(NOTHING_YET if value is None else f'{value:.{0 if value >= 10 else 1}f}' for value in values)
