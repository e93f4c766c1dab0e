"""Why something cannot be done to a version."""

from __future__ import annotations

from ml_plugins.exceptions import MLPluginError, ModelVersionError


class VersionStateError(ModelVersionError):
    """What was asked for does not go with where the version stands."""

    code = 'version_state'


class VersionStorageError(ModelVersionError):
    """The storage of versions does not answer, or does not have what it should."""

    code = 'version_storage'


class UploadError(MLPluginError):
    """An uploaded version is not taken; the message names the file and what to do about it."""

    code = 'bad_upload'


class UploadTooLargeError(UploadError):
    """An uploaded version is larger than the server takes."""

    code = 'upload_too_large'
