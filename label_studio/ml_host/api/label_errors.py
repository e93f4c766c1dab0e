"""REST endpoints of suspected label errors."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from label_studio.ml_host.analysis.errors import AnalysisOptionError
from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.analysis_serializers import LabelErrorRunSerializer, LabelReviewSerializer, body_of
from label_studio.ml_host.api.state import state_of
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, REFUSED, TAGS, BackendView
from label_studio.ml_host.models import LabelErrorRun

SHOWN = 10


class LabelErrorListAPI(BackendView):
    """Looks for label errors of a backend."""

    @extend_schema(
        tags=TAGS,
        summary='List looks for label errors',
        description='The latest looks for label errors, newest first, without the suspected labels.',
        responses={200: LabelErrorRunSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str) -> Response:
        """Runs, newest first."""
        runs = LabelErrorRun.objects.filter(project=self.project(pk), backend=name)[:SHOWN]
        for run in runs:
            run.result = {**run.result, 'suspects': []} if run.result else {}
        return Response(LabelErrorRunSerializer(runs, many=True).data)

    @extend_schema(
        tags=TAGS,
        summary='Look for label errors',
        description='List the labels that models contradict which did not learn from them, in the background. '
        'Option: `control`, the name of a Choices control; the first that will do when it is left out.',
        request=OpenApiTypes.OBJECT,
        responses={202: LabelErrorRunSerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED, 503: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Queue a look."""
        project, body = self.project(pk), body_of(request)
        if unknown := sorted(set(body) - {'control'}):
            raise AnalysisOptionError(f'{unknown[0]}: there is no such option; there is control')
        state_of(project, name)
        run = actions.look_for_label_errors(project, name, str(body.get('control') or ''), request.user)
        return Response(LabelErrorRunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class LabelErrorAPI(BackendView):
    """One look for label errors."""

    @extend_schema(
        tags=TAGS,
        summary='Get suspected label errors',
        description='State and progress, and once it is finished the suspected labels, the most doubtful first, as '
        'they stand now: open, said to be right, asked about, changed or gone.',
        responses={200: LabelErrorRunSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, run: int) -> Response:
        """The run."""
        return Response(LabelErrorRunSerializer(access.label_error_run_of(self.project(pk), name, run)).data)


class LabelErrorCancelAPI(BackendView):
    """Cancel a look for label errors."""

    @extend_schema(
        tags=TAGS,
        summary='Cancel a look for label errors',
        description='A waiting one ends at once, a running one at the next step.',
        request=None,
        responses={200: LabelErrorRunSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Ask it to stop."""
        found = access.label_error_run_of(self.project(pk), name, run)
        actions.cancel_label_errors(found)
        return Response(LabelErrorRunSerializer(found).data)


class LabelReviewAPI(BackendView):
    """What people say of a suspected label."""

    @extend_schema(
        tags=TAGS,
        summary='Review a suspected label',
        description='Say that it looks right, which is remembered for this annotation and label, or let the label '
        'stream ask somebody else.',
        request=LabelReviewSerializer,
        responses={200: LabelErrorRunSerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, run: int) -> Response:
        """Take it down."""
        found = access.label_error_run_of(self.project(pk), name, run)
        body = LabelReviewSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        actions.review_label(found, said['annotation'], said['verdict'], request.user)
        return Response(LabelErrorRunSerializer(found).data)
