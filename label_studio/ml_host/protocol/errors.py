"""What a call of another Label Studio can be refused with."""

from label_studio.ml_host.serving.service.errors import NoSuchTargetError, ServiceError


class CredentialsError(ServiceError):
    """Nobody, or somebody unknown, calls."""

    code = 'credentials'
    status = 401


class UnknownBackendError(NoSuchTargetError):
    """No plugin of that name is installed; the message lists those that are."""

    code = 'plugin_not_found'


class MessageError(ServiceError):
    """The body is not what the protocol says; the message names the field."""


class SwitchedOffError(ServiceError):
    """Somebody at this server switched the backend off for the other one's project."""

    code = 'not_enabled'
    status = 403


class RemoteHostError(ServiceError):
    """The other Label Studio, or a file of it, cannot be reached."""

    code = 'remote_host'
    status = 502
