"""A label config that is changed so that a backend cannot serve it any more: the backend is switched off, with why."""

from __future__ import annotations

import logging
from typing import Any

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ProjectBackend
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)


def switch_off(project: Any) -> None:
    """Switch off every backend that does not fit the project's label config; versions and settings are kept.

    It is switched on again by hand, once it fits: who changes a label config twice must not find it trained meanwhile.
    """
    from label_studio.ml_host.upstream import get_current_request

    for row in ProjectBackend.objects.filter(project=project, enabled=True).order_by('id'):
        reason = _misfit(project, row.backend)
        if reason:
            logger.warning('%s is switched off: %s', row, reason)
            user = getattr(get_current_request(), 'user', None)
            services.disable(project, row.backend, user, f'The label config was changed: {reason}')


def reason_of(row: ProjectBackend | None) -> str:
    """Why the server switched a backend off by itself; empty when it is on or a person did it."""
    if row is None or row.enabled:
        return ''
    switched = BackendEvent.objects.filter(
        project=row.project_id,
        backend=row.backend,
        action__in=(BackendEvent.Action.ENABLED, BackendEvent.Action.DISABLED),
    )
    event = switched.order_by('-id').first()
    return event.detail.get('reason', '') if event is not None else ''


def _misfit(project: Any, backend: str) -> str:
    if backend not in registry or not registry.get(backend).is_usable:
        return ''
    try:
        services.check_servable(project, registry.get(backend))
    except LabelConfigError as error:
        return str(error)
    except Exception:
        # A plugin's own check that breaks says nothing about the label config.
        logger.exception('%s could not check the label config of project %s', backend, project.pk)
    return ''
