"""Runs to show: those of a backend, and those under way in a project."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When

from label_studio.ml_host.models import PrelabelRun

State = PrelabelRun.State


def runs_of(project: Any, backend: str) -> QuerySet[PrelabelRun]:
    """A backend's runs, newest first."""
    return _shown(project).filter(backend=backend)


def active_runs(project: Any, backend: str = '') -> list[PrelabelRun]:
    """Runs that run or wait, of one backend or of all, in the order of their work."""
    found = _shown(project).exclude(state__in=PrelabelRun.ENDED)
    if backend:
        found = found.filter(backend=backend)
    running_first = Case(When(state=State.RUNNING, then=Value(0)), default=Value(1), output_field=IntegerField())
    return list(found.order_by(running_first, 'pk'))


def latest_ended(project: Any) -> PrelabelRun | None:
    """The run that ended last, of whichever backend."""
    found = _shown(project).filter(state__in=PrelabelRun.ENDED, ended_at__isnull=False)
    return found.order_by('-ended_at').first()


def _shown(project: Any) -> QuerySet[PrelabelRun]:
    # The selection may be long, and nobody looks at it.
    runs = PrelabelRun.objects.filter(project=project).defer('selection')
    return runs.select_related('version', 'created_by')
