"""What can be wrong with a request to the prediction service; each error knows its HTTP status."""

from __future__ import annotations

from ml_plugins.exceptions import MLPluginError


class ServiceError(MLPluginError):
    """The request cannot be answered; the message names the field, the value and what to send instead."""

    code = 'bad_request'
    status = 400


class NoSuchTargetError(ServiceError):
    """There is no such project, backend or version."""

    code = 'not_found'
    status = 404


class AmbiguousTargetError(ServiceError):
    """Several backends could answer; the message lists them."""

    code = 'ambiguous'


class ForbiddenError(ServiceError):
    """The caller may not use this project."""

    code = 'forbidden'
    status = 403


class NotTrainedError(ServiceError):
    """The model has no version yet and cannot predict without one."""

    code = 'needs_training'
    status = 409


class BodyTooLargeError(ServiceError):
    """The body is over the limit."""

    code = 'too_large'
    status = 413


class UnusableDataError(ServiceError):
    """The request is well formed, but what it points at or carries cannot be read."""

    code = 'task_data'
    status = 422


class BackendFailedError(ServiceError):
    """The plugin raised; its traceback stands on the ML backends page."""

    code = 'backend_failed'
    status = 500


class TooLateError(ServiceError):
    """The answer did not come within the time that a request may take."""

    code = 'timeout'
    status = 504
