"""The one mapping from our errors to HTTP."""

from __future__ import annotations

from rest_framework import status
from rest_framework.response import Response

from label_studio.ml_host.analysis.errors import AnalysisError, AnalysisOptionError
from label_studio.ml_host.label_errors.errors import ReviewError
from label_studio.ml_host.learning.settings import LearningSettingsError
from label_studio.ml_host.prelabeling.choices import ChoiceError
from label_studio.ml_host.prelabeling.errors import PrelabelError
from label_studio.ml_host.sampling.settings import SamplingOffError, SamplingSettingsError
from label_studio.ml_host.versions.errors import UploadError, UploadTooLargeError
from ml_plugins import exceptions as errors

_STATUS: dict[type[errors.MLPluginError], int] = {
    errors.PluginNotFoundError: status.HTTP_404_NOT_FOUND,
    errors.LabelConfigError: status.HTTP_400_BAD_REQUEST,
    errors.ParameterError: status.HTTP_400_BAD_REQUEST,
    errors.TaskDataError: status.HTTP_400_BAD_REQUEST,
    errors.TrainingError: status.HTTP_409_CONFLICT,
    errors.TrainingCancelledError: status.HTTP_409_CONFLICT,
    errors.ModelVersionError: status.HTTP_409_CONFLICT,
    UploadError: status.HTTP_400_BAD_REQUEST,
    UploadTooLargeError: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    PrelabelError: status.HTTP_409_CONFLICT,
    ChoiceError: status.HTTP_400_BAD_REQUEST,
    LearningSettingsError: status.HTTP_400_BAD_REQUEST,
    SamplingSettingsError: status.HTTP_400_BAD_REQUEST,
    AnalysisError: status.HTTP_409_CONFLICT,
    AnalysisOptionError: status.HTTP_400_BAD_REQUEST,
    ReviewError: status.HTTP_409_CONFLICT,
    SamplingOffError: status.HTTP_409_CONFLICT,
    # The plugin or the server is at fault, not the request.
    errors.MLPluginError: status.HTTP_503_SERVICE_UNAVAILABLE,
}
# What fails because the server lacks something, by code.
_UNAVAILABLE = frozenset({'queue_unavailable', 'version_storage'})


def status_of(error: errors.MLPluginError) -> int:
    """HTTP status of an error; a subclass has the status of its nearest listed parent."""
    if error.code in _UNAVAILABLE:
        return status.HTTP_503_SERVICE_UNAVAILABLE
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def error_response(error: errors.MLPluginError) -> Response:
    """The error as ``{"detail": sentence, "code": stable name}``."""
    return Response({'detail': str(error), 'code': error.code}, status=status_of(error))
