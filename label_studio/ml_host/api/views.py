"""REST endpoints of the ML backends, in upstream's style and with its permissions."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.errors import error_response
from label_studio.ml_host.api.log_files import tail
from label_studio.ml_host.api.serializers import (
    BackendChangeSerializer,
    BackendStateSerializer,
    ErrorSerializer,
    PluginSerializer,
    TrainingRunSerializer,
    learning_change,
    sampling_change,
)
from label_studio.ml_host.api.state import state_of, states_of
from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.upstream import ViewClassPermission, all_permissions
from ml_plugins.exceptions import MLPluginError
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)

TAGS = ['ML backends']
AUDIENCE = {'x-fern-audiences': ['public']}
NOT_FOUND = OpenApiResponse(ErrorSerializer, description='No such project, backend, run or version.')
REFUSED = OpenApiResponse(ErrorSerializer, description='It cannot be done; the body says why.')


class BackendView(APIView):
    """Base: answers our errors as JSON, finds the project and checks upstream's permissions on it."""

    permission_required = ViewClassPermission(
        GET=all_permissions.projects_view,
        PATCH=all_permissions.projects_change,
        POST=all_permissions.projects_change,
    )

    def handle_exception(self, exc: Exception) -> Response:
        """Our errors get their own body; everything else goes upstream's way."""
        if not isinstance(exc, MLPluginError):
            return super().handle_exception(exc)
        logger.info('Refused: %s %s: %s', self.request.method, self.request.path, exc)
        return error_response(exc)

    def project(self, pk: int) -> Any:
        """The project, after the checks that upstream makes."""
        project = access.project_of(self.request.user, pk)
        self.check_object_permissions(self.request, project)
        return project


class PluginListAPI(BackendView):
    """Installed plugins, broken ones too."""

    @extend_schema(
        tags=TAGS,
        summary='List installed ML plugins',
        description='Every installed plugin, with the reason and the traceback of those that could not be loaded.',
        responses={200: PluginSerializer(many=True)},
        extensions=AUDIENCE,
    )
    def get(self, request) -> Response:
        """All plugins by name."""
        return Response(PluginSerializer(registry.all(), many=True).data)


class BackendListAPI(BackendView):
    """Plugins as seen from one project."""

    @extend_schema(
        tags=TAGS,
        summary="List a project's ML backends",
        description='Every installed plugin and how it stands in the project.',
        responses={200: BackendStateSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request, pk: int) -> Response:
        """All plugins by name."""
        return Response(BackendStateSerializer(states_of(self.project(pk)), many=True).data)


class BackendAPI(BackendView):
    """One plugin in one project: its state, the toggle, the parameters."""

    @extend_schema(
        tags=TAGS,
        summary="Get a project's ML backend",
        description='How one plugin stands in the project.',
        responses={200: BackendStateSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request, pk: int, name: str) -> Response:
        """State of the backend."""
        return Response(BackendStateSerializer(state_of(self.project(pk), name)).data)

    @extend_schema(
        tags=TAGS,
        summary="Change a project's ML backend",
        description='Enable or disable the backend for the project, set its parameters, let it pre-label new tasks, '
        'learn while people label or choose what is labeled next; all at once when all are given.',
        request=BackendChangeSerializer,
        responses={200: BackendStateSerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED, 503: REFUSED},
        extensions=AUDIENCE,
    )
    def patch(self, request, pk: int, name: str) -> Response:
        """Change the backend; when one part is refused nothing is changed."""
        project = self.project(pk)
        state_of(project, name)
        change = BackendChangeSerializer(data=request.data)
        change.is_valid(raise_exception=True)
        with transaction.atomic():
            if 'params' in change.validated_data:
                actions.change_params(project, name, change.validated_data['params'], request.user)
            if change.validated_data.get('enabled') is True:
                actions.switch(project, name, True, request.user)
            if 'prelabel_new' in change.validated_data:
                actions.set_prelabel_new(project, name, change.validated_data['prelabel_new'], request.user)
            if 'learning' in change.validated_data:
                actions.set_learning(project, name, *learning_change(change.validated_data['learning']), request.user)
            if 'sampling' in change.validated_data:
                actions.set_sampling(project, name, *sampling_change(change.validated_data['sampling']), request.user)
        if change.validated_data.get('enabled') is False:
            actions.switch(project, name, False, request.user)
        return Response(BackendStateSerializer(state_of(project, name)).data)


class BackendTrainAPI(BackendView):
    """Start a training."""

    @extend_schema(
        tags=TAGS,
        summary='Train an ML backend',
        description='Ask for a training. Requests coalesce: when a run waits already, that run is returned.',
        request=None,
        responses={202: TrainingRunSerializer, 404: NOT_FOUND, 409: REFUSED, 503: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request, pk: int, name: str) -> Response:
        """Queue a run."""
        run = actions.train(self.project(pk), name, request.user)
        return Response(TrainingRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class BackendResetAPI(BackendView):
    """Reset the circuit breaker."""

    @extend_schema(
        tags=TAGS,
        summary="Reset an ML backend's circuit breaker",
        description='Let a backend that rests after repeated failures work again at once.',
        request=None,
        responses={200: BackendStateSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def post(self, request, pk: int, name: str) -> Response:
        """Close the breaker."""
        project = self.project(pk)
        actions.reset_breaker(project, name, request.user)
        return Response(BackendStateSerializer(state_of(project, name)).data)


class RunListAPI(BackendView):
    """Training runs of a backend."""

    @extend_schema(
        tags=TAGS,
        summary='List training runs',
        description='The latest 100 training runs, newest first.',
        responses={200: TrainingRunSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request, pk: int, name: str) -> Response:
        """Runs, newest first."""
        runs = TrainingRun.objects.filter(project=self.project(pk), backend=name).select_related('version')
        return Response(TrainingRunSerializer(runs[:100], many=True).data)


class RunAPI(BackendView):
    """One training run."""

    @extend_schema(
        tags=TAGS,
        summary='Get a training run',
        description='State, progress, metrics, skipped tasks, and the reason when it failed.',
        responses={200: TrainingRunSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request, pk: int, name: str, run: int) -> Response:
        """The run."""
        return Response(TrainingRunSerializer(access.run_of(self.project(pk), name, run)).data)


class RunCancelAPI(BackendView):
    """Cancel a training run."""

    @extend_schema(
        tags=TAGS,
        summary='Cancel a training run',
        description='A waiting run ends at once, a running one as soon as the backend looks.',
        request=None,
        responses={200: TrainingRunSerializer, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request, pk: int, name: str, run: int) -> Response:
        """Ask it to stop."""
        found = access.run_of(self.project(pk), name, run)
        actions.cancel(found, request.user)
        found.refresh_from_db()
        return Response(TrainingRunSerializer(found).data)


class RunLogAPI(BackendView):
    """Log of a training run."""

    @extend_schema(
        tags=TAGS,
        summary="Get a training run's log",
        description='The log as plain text; with `tail`, only its last lines.',
        parameters=[OpenApiParameter('tail', OpenApiTypes.INT, description='Number of lines from the end.')],
        responses={(200, 'text/plain'): OpenApiTypes.STR, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request, pk: int, name: str, run: int) -> HttpResponse:
        """The log."""
        path = run_log_path(settings.ML_LOG_DIR, access.run_of(self.project(pk), name, run).pk)
        wanted = request.query_params.get('tail', '')
        if wanted and not wanted.isdecimal():
            body = {'detail': f'"tail" must be a whole number, not "{wanted}"', 'code': 'bad_request'}
            return Response(body, status=status.HTTP_400_BAD_REQUEST)
        return log_response(path, int(wanted) if wanted else None)


def log_response(path, lines: int | None = None) -> HttpResponse:
    """A log file, or its last lines, as plain text; a file that is not there yet is empty."""
    kind = 'text/plain; charset=utf-8'
    if lines is not None:
        return HttpResponse(tail(path, lines), content_type=kind)
    try:
        return HttpResponse(path.read_bytes(), content_type=kind)
    except OSError:
        return HttpResponse('', content_type=kind)
