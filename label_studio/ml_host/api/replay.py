"""REST endpoints of replays."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.analysis_serializers import ReplaySerializer, body_of
from label_studio.ml_host.api.state import state_of
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, REFUSED, TAGS, BackendView
from label_studio.ml_host.models import ReplayRun

SHOWN = 10


class ReplayListAPI(BackendView):
    """Replays of a backend."""

    @extend_schema(
        tags=TAGS,
        summary='List replays',
        description='The latest replays of query strategies over the labels of the project, newest first.',
        responses={200: ReplaySerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str) -> Response:
        """Runs, newest first."""
        runs = ReplayRun.objects.filter(project=self.project(pk), backend=name)
        return Response(ReplaySerializer(runs[:SHOWN], many=True).data)

    @extend_schema(
        tags=TAGS,
        summary='Start a replay',
        description='Run query strategies against each other over the labels that are there, in the background. '
        'Options: `strategies` (names), `labels` (at which the curves end), `batch` (labels between two models), '
        '`seeds` (repetitions), `control` (name of a Choices control); all may be left out.',
        request=OpenApiTypes.OBJECT,
        responses={202: ReplaySerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED, 503: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Queue a replay."""
        project = self.project(pk)
        state_of(project, name)
        run = actions.start_replay(project, name, body_of(request), request.user)
        return Response(ReplaySerializer(run).data, status=status.HTTP_202_ACCEPTED)


class ReplayAPI(BackendView):
    """One replay."""

    @extend_schema(
        tags=TAGS,
        summary='Get a replay',
        description='State and progress; the curves so far, and once it is finished the recommended strategy.',
        responses={200: ReplaySerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, run: int) -> Response:
        """The run."""
        return Response(ReplaySerializer(access.replay_of(self.project(pk), name, run)).data)


class ReplayCancelAPI(BackendView):
    """Cancel a replay."""

    @extend_schema(
        tags=TAGS,
        summary='Cancel a replay',
        description='A waiting replay ends at once, a running one at the next step. Its curves so far stay.',
        request=None,
        responses={200: ReplaySerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Ask it to stop."""
        found = access.replay_of(self.project(pk), name, run)
        actions.cancel_replay(found)
        return Response(ReplaySerializer(found).data)
