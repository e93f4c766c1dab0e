"""Why a training run is refused before it starts; each message is a sentence for the person at the page."""

from ml_plugins.exceptions import TrainingError


class NotEnabledError(TrainingError):
    """The backend is not switched on for the project, or its plugin is broken."""

    code = 'not_enabled'


class CannotTrainError(TrainingError):
    """The backend has no ``fit``."""

    code = 'cannot_train'


class QueueUnavailableError(TrainingError):
    """Redis, which holds the queue, cannot be reached."""

    code = 'queue_unavailable'


class NotRepeatableError(TrainingError):
    """A version cannot be trained again to the same result."""

    code = 'not_repeatable'
