"""One error family; ``code`` is stable and may be shown to programs."""


class MLPluginError(Exception):
    """Root of everything this library raises on purpose."""

    code = 'ml_plugin_error'


class PluginNotFoundError(MLPluginError):
    """No installed plugin has that name."""

    code = 'plugin_not_found'


class PluginBrokenError(MLPluginError):
    """The plugin is installed, but one of its load stages failed."""

    code = 'plugin_broken'


class RequirementMissingError(PluginBrokenError):
    """The plugin is installed, but not what it needs; the message says what to do."""

    code = 'requirement_missing'


class LabelConfigError(MLPluginError):
    """The backend cannot serve this label config; the message names what is missing."""

    code = 'label_config_not_served'


class ParameterError(MLPluginError):
    """A parameter of the backend is unknown or has a value that is not allowed."""

    code = 'bad_parameter'


class TaskDataError(MLPluginError):
    """The data of one task cannot be had; the message names the task, the field and the reason."""

    code = 'task_data'

    def __init__(self, task_id: int | None, field: str, reason: str) -> None:
        super().__init__(f'Task {task_id}: field "{field}" {reason}')
        self.task_id = task_id
        self.field = field
        self.reason = reason


class PredictionError(MLPluginError):
    """A backend returned something that is not a valid prediction for the label config."""

    code = 'bad_prediction'


class TrainingError(MLPluginError):
    """Training cannot be done, for a reason that the person at the page can understand and mend."""

    code = 'training'


class TrainingCancelledError(MLPluginError):
    """Raised inside ``fit`` when somebody pressed Cancel or the worker is shutting down."""

    code = 'cancelled'


class ModelVersionError(MLPluginError):
    """The files of a model version are missing or damaged."""

    code = 'model_version'


class BackendBusyError(MLPluginError):
    """The queue of the resident model is full, or the model is leaving this process.

    Attributes:
        retry_after: Seconds after which another try may find room, estimated from the measured speed.
    """

    code = 'busy'

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CircuitOpenError(MLPluginError):
    """The backend failed repeatedly and rests for a while."""

    code = 'circuit_open'


class PredictTimeoutError(MLPluginError):
    """The backend did not return from ``predict`` in time."""

    code = 'predict_timeout'


class DeadlineExceededError(MLPluginError):
    """The caller's deadline passed before the model came to it; nothing was computed for it."""

    code = 'deadline'


class BackendCrashError(MLPluginError):
    """The process that a fenced backend runs in died."""

    code = 'backend_crash'


class BackendAwayError(BackendCrashError):
    """What the backend works with, such as a server elsewhere, cannot be reached; the same tasks may do later.

    Attributes:
        retry_after: Seconds after which another try makes sense.
    """

    code = 'backend_away'
    retry_after = 0.5


class StrategyError(MLPluginError):
    """A query strategy or a stopping criterion is unknown, broken, or has nothing to work with."""

    code = 'strategy'
