"""REST endpoints of bulk pre-labeling."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.prelabel_serializers import (
    ActivePrelabelSerializer,
    FailurePageSerializer,
    PrelabelRunSerializer,
    PrelabelStartSerializer,
)
from label_studio.ml_host.api.state import state_of
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, REFUSED, TAGS, BackendView
from label_studio.ml_host.enabling import gate
from label_studio.ml_host.http_backends.rows import connection_of, is_http
from label_studio.ml_host.models import ModelVersion, PrelabelRun
from label_studio.ml_host.prelabeling.choices import ChoiceError, version_of
from label_studio.ml_host.prelabeling.overview import active_runs, latest_ended, runs_of
from label_studio.ml_host.upstream import ViewClassPermission, all_permissions
from ml_plugins.exceptions import PluginNotFoundError

FAILURES_A_PAGE = 100
SHOWN_RUNS = 100
RUN = {200: PrelabelRunSerializer, 404: NOT_FOUND, 409: REFUSED}


class PrelabelView(BackendView):
    """Base: making predictions needs what upstream asks for it."""

    permission_required = ViewClassPermission(GET=all_permissions.projects_view, POST=all_permissions.predictions_any)

    def run(self, pk: int, name: str, run: int) -> PrelabelRun:
        """One run of a backend of a project."""
        return access.prelabel_run_of(self.project(pk), name, run)


class PrelabelRunListAPI(PrelabelView):
    """Runs of a backend."""

    @extend_schema(
        tags=TAGS,
        summary='List pre-labeling runs',
        description='The latest 100 runs, newest first.',
        responses={200: PrelabelRunSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str) -> Response:
        """Runs, newest first."""
        project = self.project(pk)
        _check_known(project, name)
        return Response(PrelabelRunSerializer(runs_of(project, name)[:SHOWN_RUNS], many=True).data)

    @extend_schema(
        tags=TAGS,
        summary='Pre-label tasks',
        description='Predict tasks in the background. The answer comes at once; the run tells how far it is.',
        request=PrelabelStartSerializer,
        responses={202: PrelabelRunSerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED, 503: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Start a run."""
        project = self.project(pk)
        _check_known(project, name)
        body = PrelabelStartSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        values['version'] = _version(project, name, values.get('version'))
        _check_tasks(project, values.get('task_ids'))
        run = actions.prelabel(project, name, **values, user=request.user)
        return Response(PrelabelRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class PrelabelRunAPI(PrelabelView):
    """One run."""

    @extend_schema(
        tags=TAGS,
        summary='Get a pre-labeling run',
        description='State, counts, rate and time left, and the reason when it failed.',
        responses={200: PrelabelRunSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, run: int) -> Response:
        """The run."""
        return Response(PrelabelRunSerializer(self.run(pk, name, run)).data)


class PrelabelCancelAPI(PrelabelView):
    """Cancel a run."""

    @extend_schema(
        tags=TAGS,
        summary='Cancel a pre-labeling run',
        description='A waiting run ends at once, a running one after the batch in work. Its predictions stay.',
        request=None,
        responses=RUN,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Ask it to stop."""
        found = self.run(pk, name, run)
        actions.cancel_prelabel(found, request.user)
        return Response(PrelabelRunSerializer(found).data)


class PrelabelResumeAPI(PrelabelView):
    """Resume a run."""

    @extend_schema(
        tags=TAGS,
        summary='Resume a pre-labeling run',
        description='Go on where a cancelled or failed run stopped.',
        request=None,
        responses=RUN,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Queue it again."""
        found = self.run(pk, name, run)
        actions.resume_prelabel(found, request.user)
        return Response(PrelabelRunSerializer(found).data)


class PrelabelRetryAPI(PrelabelView):
    """Retry failed tasks."""

    @extend_schema(
        tags=TAGS,
        summary='Retry the failed tasks of a pre-labeling run',
        description='A new run predicts the failed tasks once more, each alone, with the same version.',
        request=None,
        responses={202: PrelabelRunSerializer, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Start a new run."""
        started = actions.retry_failed(self.run(pk, name, run), request.user)
        return Response(PrelabelRunSerializer(started).data, status=status.HTTP_202_ACCEPTED)


class PrelabelFailuresAPI(PrelabelView):
    """Failed tasks of a run."""

    @extend_schema(
        tags=TAGS,
        summary='List the failed tasks of a pre-labeling run',
        description='100 a page, with the reason of each.',
        parameters=[OpenApiParameter('page', OpenApiTypes.INT, description='Page, from 1.')],
        responses={200: FailurePageSerializer, 400: REFUSED, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, run: int) -> Response:
        """One page."""
        pages = Paginator(self.run(pk, name, run).failures.all(), FAILURES_A_PAGE)
        wanted = request.query_params.get('page', '1')
        if not wanted.isdecimal() or not 1 <= int(wanted) <= pages.num_pages:
            raise serializers.ValidationError({'page': [f"'{wanted}': there are pages 1 to {pages.num_pages}."]})
        found = {
            'count': pages.count,
            'page': int(wanted),
            'pages': pages.num_pages,
            'results': pages.page(int(wanted)),
        }
        return Response(FailurePageSerializer(found).data)


class ActivePrelabelAPI(PrelabelView):
    """What is being pre-labeled in a project."""

    @extend_schema(
        tags=TAGS,
        summary='Get the pre-labeling under way in a project',
        description='Runs of every backend that run or wait, and the one that ended last.',
        responses={200: ActivePrelabelSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int) -> Response:
        """Progress; cheap enough to be asked every other second."""
        project = self.project(pk)
        found = {'active': active_runs(project), 'latest': latest_ended(project)}
        return Response(ActivePrelabelSerializer(found).data)


def _version(project: Any, name: str, number: int | None) -> ModelVersion | None:
    row = gate.active(project.pk, name) if number is not None else None
    # Without a row the start says what is wrong.
    return version_of(row, number) if row is not None and number is not None else None


def _check_tasks(project: Any, task_ids: list[int] | None) -> None:
    """Refuse numbers that are no tasks of the project; a few wrong ones are named."""
    if task_ids is None:
        return
    known = set(project.tasks.values_list('pk', flat=True).order_by())
    strange = [number for number in task_ids if number not in known]
    if strange:
        named = ', '.join(map(str, strange[:5])) + (', …' if len(strange) > 5 else '')
        raise ChoiceError(f'task_ids: {named} {"is" if len(strange) == 1 else "are"} not in project {project.pk}')


def _check_known(project: Any, name: str) -> None:
    """Refuse a name that is neither an installed plugin nor a backend that is connected by URL."""
    if not is_http(name):
        state_of(project, name)
    elif connection_of(project.pk, name) is None:
        raise PluginNotFoundError(f'No ML backend "{name}" is connected to project {project.pk}.')
