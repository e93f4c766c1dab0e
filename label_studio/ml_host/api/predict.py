"""The prediction service over HTTP: ``POST /predict`` and ``POST /api/projects/<id>/predict``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated, ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from label_studio.ml_host.api.errors import error_response
from label_studio.ml_host.api.serializers import ErrorSerializer
from label_studio.ml_host.api.views import AUDIENCE, TAGS
from label_studio.ml_host.serving.service import answers, body, targets
from label_studio.ml_host.serving.service.callers import ServiceTokenAuthentication
from label_studio.ml_host.serving.service.errors import BodyTooLargeError, ServiceError
from ml_plugins.exceptions import BackendBusyError, CircuitOpenError, MLPluginError
from ml_plugins.label_config import LabelConfig

_JSON = 'application/json'
_ANY = {'type': 'object', 'additionalProperties': True}
_REQUEST = {
    _JSON: {'oneOf': [_ANY, {'type': 'array', 'items': _ANY}]},
    'multipart/form-data': {'type': 'object', 'properties': {'image': {'type': 'string', 'format': 'binary'}}},
}
_PARAMETERS = [
    OpenApiParameter('backend', str, description='Name of the backend, when several are enabled.'),
    OpenApiParameter('version', str, description='Number or name of a version; the one in service when not given.'),
    OpenApiParameter('format', str, enum=['label-studio', 'simple'], description='How the predictions are written.'),
]
_EXAMPLES = [
    OpenApiExample('One picture', {'image_url': 'https://example.org/sample.jpg'}, request_only=True),
    OpenApiExample('Two tasks', [{'data': {'text': 'One'}}, {'data': {'text': 'Two'}}], request_only=True),
    OpenApiExample(
        'Prediction',
        {
            'backend': 'image_classifier',
            'project': 1,
            'model_version': 'image_classifier-v2',
            'result': [
                {
                    'from_name': 'choice',
                    'to_name': 'image',
                    'type': 'choices',
                    'value': {'choices': ['cat']},
                    'score': 0.97,
                }
            ],
            'score': 0.97,
        },
        response_only=True,
    ),
    OpenApiExample(
        'Prediction, format=simple',
        {
            'backend': 'image_classifier',
            'project': 1,
            'model_version': 'image_classifier-v2',
            'score': 0.97,
            'labels': [{'control': 'choice', 'label': 'cat', 'score': 0.97}],
            'boxes': [],
            'spans': [],
            'texts': [],
            'other': [],
        },
        response_only=True,
    ),
]
_DESCRIPTION = (
    'Predict data that need not be stored as tasks; nothing is stored. The body is one object or a list of them, each '
    'bare (`{"image_url": "…"}`) or shaped as a task (`{"data": {…}}`), or a multipart form with files. One object is '
    'answered by its prediction, a list by `predictions` in the same order, where an item that could not be predicted '
    'is `{"error": {…}}`.'
)
_RESPONSES = {
    200: OpenApiResponse(_ANY, description='The prediction or predictions.'),
    **{
        status: OpenApiResponse(ErrorSerializer, description=meaning)
        for status, meaning in {
            400: 'A field is missing or wrong; the message names it.',
            401: 'No token.',
            403: 'No permission on the project.',
            404: 'No such project, backend or version.',
            409: 'The model has to be trained first.',
            413: 'The body is over the limit.',
            415: 'Neither JSON nor a multipart form.',
            422: 'The data cannot be read or predicted, for example a picture that is none.',
            500: 'The backend failed.',
            503: 'Too much is waiting, or the backend rests after failures; `Retry-After` says when to come back.',
            504: 'The answer took too long.',
        }.items()
    },
}


class PredictAPI(APIView):
    """Predict with the only enabled backend, or with the one that the query names."""

    authentication_classes: ClassVar = [ServiceTokenAuthentication, SessionAuthentication]
    parser_classes: ClassVar = [JSONParser, MultiPartParser]
    # Who may call is decided below: a setting opens the service to callers without a token.
    permission_classes: ClassVar = []

    @extend_schema(
        tags=TAGS,
        summary='Predict',
        description=_DESCRIPTION,
        parameters=[OpenApiParameter('project', int, description='The project whose backend answers.'), *_PARAMETERS],
        request=_REQUEST,
        responses=_RESPONSES,
        examples=_EXAMPLES,
        extensions=AUDIENCE,
    )
    def post(self, request: Request) -> Response:
        """Predictions of the items sent."""
        return self.respond(request)

    def respond(self, request: Request, project_id: int | None = None) -> Response:
        """Find the model, read the body, ask the model."""
        is_anonymous = not request.user.is_authenticated
        if is_anonymous and not settings.ML_PREDICT_ANONYMOUS:
            raise NotAuthenticated
        body.check_size(request.META.get('CONTENT_LENGTH'))
        target = targets.recent_target(request.user, request.query_params.dict(), project_id)
        content = _content(request, target.config)
        style = request.query_params.get('format', '')
        return Response(answers.answer(target, content, style, is_anonymous))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """Always JSON: ``format`` says how predictions are written, not which renderer to take."""
        renderer = self.get_renderers()[0]
        return renderer, renderer.media_type

    def handle_exception(self, exc: Exception) -> Response:
        """Our errors have their own status and body; a full queue says when to come back."""
        if isinstance(exc, ServiceError):
            return Response({'detail': str(exc), 'code': exc.code}, status=exc.status)
        if isinstance(exc, MLPluginError):
            response = error_response(exc)
            if isinstance(exc, (BackendBusyError, CircuitOpenError)):
                response['Retry-After'] = str(max(1, math.ceil(getattr(exc, 'retry_after', 1.0))))
            return response
        return super().handle_exception(exc)


class ProjectPredictAPI(PredictAPI):
    """Predict with a backend of one project."""

    @extend_schema(
        tags=TAGS,
        summary="Predict with a project's backend",
        description=_DESCRIPTION,
        parameters=_PARAMETERS,
        request=_REQUEST,
        responses=_RESPONSES,
        examples=_EXAMPLES,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Predictions of the items sent."""
        return self.respond(request, pk)


def _content(request: Request, config: LabelConfig) -> body.Body:
    """The request's items, whichever way they were sent."""
    try:
        data = request.data
    except ParseError as error:
        raise ServiceError(f'The body cannot be read: {error.detail}.') from error
    except RequestDataTooBig as error:
        raise BodyTooLargeError(str(error)) from error
    except UnsupportedMediaType:
        raise
    kind = (request.content_type or '').partition(';')[0].strip().lower()
    if kind == _JSON:
        return body.from_json(data, config)
    if kind == 'multipart/form-data':
        return body.from_form({name: data[name] for name in data if name not in request.FILES}, request.FILES, config)
    raise UnsupportedMediaType(kind or 'none', 'The body has the type "{media_type}"; send application/json or a form.')
