"""REST endpoints of model versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.serializers import ErrorSerializer
from label_studio.ml_host.api.state import state_of
from label_studio.ml_host.api.version_serializers import ModelVersionSerializer, VersionUploadSerializer
from label_studio.ml_host.api.views import AUDIENCE, NOT_FOUND, REFUSED, TAGS, BackendView
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.upstream import ViewClassPermission, all_permissions

VERSION = {200: ModelVersionSerializer, 404: NOT_FOUND, 409: REFUSED}
TOO_LARGE = OpenApiResponse(ErrorSerializer, description='Larger than ML_VERSION_UPLOAD_BYTES.')


class VersionListAPI(BackendView):
    """Versions of a backend."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        tags=TAGS,
        summary='List model versions',
        description='Versions of the backend in the project, newest first, with their state, their score on the '
        'held-out labels and its 95% interval, and what led to them.',
        responses={200: ModelVersionSerializer(many=True), 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str) -> Response:
        """Versions, newest first."""
        project = self.project(pk)
        found = ModelVersion.objects.filter(project=project, backend=name).select_related('previous', 'snapshot')
        # Large, and not shown.
        found = found.defer('label_config', 'snapshot__content')
        return Response(ModelVersionSerializer(found, many=True, context=_in_service(project, name)).data)

    @extend_schema(
        tags=TAGS,
        summary='Upload a model version',
        description='Add a version that was downloaded here or from another server. It becomes a candidate once '
        'its checksums, its formats and its labels are checked and the backend has loaded it.',
        request={'multipart/form-data': VersionUploadSerializer},
        responses={201: ModelVersionSerializer, 400: REFUSED, 404: NOT_FOUND, 409: REFUSED, 413: TOO_LARGE},
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Take an upload."""
        project = self.project(pk)
        state_of(project, name)
        sent = VersionUploadSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        version = actions.upload_version(project, name, sent.validated_data['file'], request.user)
        return Response(_shown(version), status=status.HTTP_201_CREATED)


class VersionAPI(BackendView):
    """One version."""

    permission_required = ViewClassPermission(GET=all_permissions.projects_view, DELETE=all_permissions.projects_change)

    @extend_schema(
        tags=TAGS,
        summary='Get a model version',
        description='State, score, metrics, and what led to it.',
        responses={200: ModelVersionSerializer, 404: NOT_FOUND},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, number: int) -> Response:
        """The version."""
        return Response(_shown(access.version_of(self.project(pk), name, number)))

    @extend_schema(
        tags=TAGS,
        summary='Delete a model version',
        description='Remove a version with its files; not the one in service. Predictions that it made stay, and its '
        'number is not used again.',
        responses={204: None, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def delete(self, request: Request, pk: int, name: str, number: int) -> Response:
        """Remove it."""
        actions.delete_version(access.version_of(self.project(pk), name, number), request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class VersionChangeView(BackendView):
    """Base: does something to one version and answers with it."""

    def change(self, pk: int, name: str, number: int, act: Callable[[ModelVersion, Any], None]) -> Response:
        """Do it."""
        version = access.version_of(self.project(pk), name, number)
        act(version, self.request.user)
        return Response(_shown(version))


class VersionInServiceAPI(VersionChangeView):
    """Choose the version that predicts."""

    @extend_schema(
        tags=TAGS,
        summary='Put a model version in service',
        description='Predictions come from this version from now on; the server is not restarted.',
        request=None,
        responses=VERSION,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, number: int) -> Response:
        """Switch the version."""
        return self.change(pk, name, number, actions.put_in_service)


class VersionArchiveAPI(VersionChangeView):
    """Put a version aside."""

    @extend_schema(
        tags=TAGS,
        summary='Archive a model version',
        description='Put a candidate aside: it is kept until somebody deletes it, and does not go into service.',
        request=None,
        responses=VERSION,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, number: int) -> Response:
        """Put it aside."""
        return self.change(pk, name, number, actions.archive_version)


class VersionUnarchiveAPI(VersionChangeView):
    """Take a version out of the archive."""

    @extend_schema(
        tags=TAGS,
        summary='Take a model version out of the archive',
        description='Make a version that was put aside a candidate again.',
        request=None,
        responses=VERSION,
        extensions=AUDIENCE,
    )
    def post(self, request: Request, pk: int, name: str, number: int) -> Response:
        """Make it a candidate."""
        return self.change(pk, name, number, actions.unarchive_version)


class VersionDownloadAPI(BackendView):
    """A version as a file."""

    @extend_schema(
        tags=TAGS,
        summary='Download a model version',
        description='A zip file with the version and its checksums, to be uploaded on another server.',
        responses={(200, 'application/zip'): OpenApiTypes.BINARY, 404: NOT_FOUND, 409: REFUSED},
        extensions=AUDIENCE,
    )
    def get(self, request: Request, pk: int, name: str, number: int) -> StreamingHttpResponse:
        """The file."""
        return download_response(access.version_of(self.project(pk), name, number))


def download_response(version: ModelVersion) -> StreamingHttpResponse:
    """A version as a download; the page answers with it too."""
    download = actions.download_version(version)
    return StreamingHttpResponse(
        download.content,
        content_type='application/zip',
        headers={'Content-Disposition': f'attachment; filename="{download.name}"'},
    )


def _shown(version: ModelVersion) -> dict[str, Any]:
    return ModelVersionSerializer(version, context=_in_service(version.project_id, version.backend)).data


def _in_service(project: Any, name: str) -> dict[str, int | None]:
    row = ProjectBackend.objects.filter(project=project, backend=name).first()
    return {'in_service_id': row.in_service_id if row else None}
