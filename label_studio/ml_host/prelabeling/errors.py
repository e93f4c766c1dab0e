"""Why bulk pre-labeling is refused; each message is a sentence for the person at the page."""

from ml_plugins.exceptions import MLPluginError


class PrelabelError(MLPluginError):
    """Pre-labeling cannot be started, resumed or repeated."""

    code = 'prelabel'


class BackendNotEnabledError(PrelabelError):
    """The backend is not switched on for the project, or its plugin is broken."""

    code = 'not_enabled'


class NeedsTrainingError(PrelabelError):
    """Nothing can be predicted before the first version."""

    code = 'needs_training'


class WrongVersionError(PrelabelError):
    """The version belongs to another project or backend, or was deleted."""

    code = 'wrong_version'


class NothingToPrelabelError(PrelabelError):
    """There are no tasks to predict."""

    code = 'no_tasks'


class WrongStateError(PrelabelError):
    """The run's state does not allow what was asked."""

    code = 'wrong_state'
