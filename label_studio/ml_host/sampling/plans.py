"""The plan of a project, where active learning is on."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from label_studio.ml_host.models import ProjectBackend, SamplingPlan
from label_studio.ml_host.sampling import statements


def active_plans() -> QuerySet[SamplingPlan]:
    """Plans that are switched on, and whose backend is."""
    backend = ProjectBackend.objects.filter(
        project_id=OuterRef('project_id'), backend=OuterRef('backend'), enabled=True
    )
    return SamplingPlan.objects.filter(Exists(backend), enabled=True)


def active_plan(project_id: int) -> SamplingPlan | None:
    """The plan of a project, or None where upstream chooses; one SQL statement."""
    return statements.plan_of(project_id)
