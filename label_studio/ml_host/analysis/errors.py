"""Why an analysis is refused or fails; each message is a sentence for the person at the page."""

from ml_plugins.exceptions import MLPluginError


class AnalysisError(MLPluginError):
    """It cannot be done with this project as it is."""

    code = 'cannot_analyse'


class AnalysisOptionError(MLPluginError):
    """An option that cannot be; the message names it, its value and what is allowed."""

    code = 'bad_analysis_option'


class AnalysisUnderWayError(AnalysisError):
    """Another one of the same kind waits or runs for this backend."""

    code = 'analysis_under_way'


class AnalysisQueueError(MLPluginError):
    """Redis, which holds the queue, cannot be reached."""

    code = 'queue_unavailable'
