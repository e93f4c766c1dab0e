"""Which projects, runs and versions a person may reach; the same rules for pages and API."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from label_studio.ml_host.models import LabelErrorRun, ModelVersion, PrelabelRun, ReplayRun, TrainingRun


def project_of(user, pk: int):
    """A project of the user's organization.

    Raises:
        Http404: There is none of that number in the organization.
        PermissionDenied: Upstream does not let the user work on it.
    """
    from label_studio.ml_host.upstream import Project

    project = get_object_or_404(Project, pk=pk, organization=user.active_organization)
    if not project.has_permission(user):
        raise PermissionDenied
    return project


def run_of(project, backend: str, pk: int) -> TrainingRun:
    """One training run of a project's backend, or 404."""
    return get_object_or_404(TrainingRun, project=project, backend=backend, pk=pk)


def prelabel_run_of(project, backend: str, pk: int) -> PrelabelRun:
    """One pre-labeling run of a project's backend, or 404."""
    return get_object_or_404(PrelabelRun.objects.defer('selection'), project=project, backend=backend, pk=pk)


def version_of(project, backend: str, number: int) -> ModelVersion:
    """One version of a project's backend, or 404."""
    return get_object_or_404(ModelVersion, project=project, backend=backend, number=number)


def replay_of(project, backend: str, pk: int) -> ReplayRun:
    """One replay of a project's backend, or 404."""
    return get_object_or_404(ReplayRun, project=project, backend=backend, pk=pk)


def label_error_run_of(project, backend: str, pk: int) -> LabelErrorRun:
    """One look for label errors of a project's backend, or 404."""
    return get_object_or_404(LabelErrorRun, project=project, backend=backend, pk=pk)
