"""Load a project's model when somebody enters the project, before the first task is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.sdk.gateway import is_answering
from label_studio.ml_host.serving import host

logger = logging.getLogger(__name__)


def project_opened(original: Callable[..., Any], view, request, *args, **kwargs):
    """Seam of ``ProjectAPI.get``, which upstream's pages call for each project that is entered."""
    response = original(view, request, *args, **kwargs)
    if response.status_code == 200 and not is_answering.get():
        warm_project(kwargs['pk'])
    return response


def warm_project(project_id: int) -> None:
    """Start loading every enabled backend's version in service; returns at once."""
    for row in gate.active_of_project(project_id):
        try:
            host.warm(row)
        except Exception:
            # Importing the plugin's backend may raise anything; the page it happens on must not care.
            logger.exception('%s could not be warmed up', row)
