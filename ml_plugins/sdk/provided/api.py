"""``label_studio_ml.api``: there is no server to make here."""

from __future__ import annotations

from typing import Any

from ml_plugins.exceptions import PluginBrokenError


def init_app(model_class: type, **kwargs: Any) -> Any:
    """Refused with what to do: in the SDK it makes a server.

    Raises:
        PluginBrokenError: Always.
    """
    raise PluginBrokenError(
        f'{model_class.__name__} runs inside Label Studio and needs no server of its own; remove the call of init_app, '
        'or move it to _wsgi.py, which is not imported here'
    )
