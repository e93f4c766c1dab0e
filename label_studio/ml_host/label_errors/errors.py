"""Why what a person wants to say of a suspected label cannot be taken down."""

from ml_plugins.exceptions import MLPluginError


class ReviewError(MLPluginError):
    """The verdict cannot be taken down; the message says why."""

    code = 'cannot_review'
