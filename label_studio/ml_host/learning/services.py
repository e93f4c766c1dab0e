"""Switch learning while labeling on and off, and keep upstream's own switch in step with it.

Upstream's *Start model training on annotation submission* is one switch for a project; it is on as long as one of the
project's plugins learns, or an HTTP backend is connected for which somebody switched it on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.learning import watcher
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import BackendEvent, ProjectBackend
from label_studio.ml_host.training.errors import CannotTrainError, NotEnabledError
from ml_plugins.failures import describe
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)

MOST_LABELS = 1_000_000


def set_learning(
    project: Any, backend: str, on: bool | None, values: Mapping[str, Any], user: Any = None
) -> ProjectBackend:
    """Switch learning on or off for one backend of a project, and change how it learns.

    Args:
        project: Upstream's project.
        backend: Name of the plugin.
        on: None leaves the switch as it is.
        values: Settings by name, see `LearningSettings`; those left out stay as they are.
        user: Who asked; None for the server itself.

    Raises:
        LearningSettingsError: Names the setting, the value and what is allowed.
        NotEnabledError: The backend is not enabled on the project.
        CannotTrainError: It does not train, or cannot be imported.
    """
    if on is not False:
        _check_enabled(project, backend)
    if on:
        _check_trainable(backend)
    with transaction.atomic():
        row = ProjectBackend.objects.select_for_update().filter(project=project, backend=backend).first()
        if row is None:
            raise _not_enabled(project, backend)
        before = (row.learns, row.learning)
        row.learning = LearningSettings.of(row.learning).changed(values).stored()
        row.learns = row.learns if on is None else on
        if (row.learns, row.learning) != before:
            row.save(update_fields=['learns', 'learning', 'updated_at'])
            _audit(row, user)
            show_switch(project)
        transaction.on_commit(lambda: watcher.note(project.pk))
    return row


def follow_switch(project: Any, labels: int, user: Any = None) -> None:
    """Do to the project's plugins what somebody did to upstream's switch.

    Args:
        project: Upstream's project.
        labels: Its ``min_annotations_to_start_training``: 0 for off, 1 for on, more for a number of labels.
        user: Who did it.
    """
    values = {'after_labels': min(labels, MOST_LABELS)} if labels > 1 else {}
    for row in gate.active_of_project(project.pk):
        try:
            if labels or row.learns:
                set_learning(project, row.backend, bool(labels), values, user)
        except CannotTrainError as error:
            logger.info('%s does not follow the switch of its project: %s', row, error)


def take_over_switch(row: ProjectBackend, project: Any, user: Any = None) -> None:
    """A plugin that was just enabled learns at once where the project's switch is on already."""
    if not row.learns and project.min_annotations_to_start_training and _why_not(row.backend) == '':
        row.learns = True
        row.save(update_fields=['learns', 'updated_at'])
        _audit(row, user)
    if row.learns:
        show_switch(project)


def show_switch(project: Any) -> None:
    """Let upstream's switch say whether any of the project's plugins learns."""
    from label_studio.ml_host.upstream import Project

    learns = ProjectBackend.objects.filter(project=project, enabled=True, learns=True).exists()
    stored = project.min_annotations_to_start_training
    if learns and not stored:
        shown = 1
    elif stored and not learns and not _has_http_backend(project):
        shown = 0
    else:
        return
    Project.objects.filter(pk=project.pk).update(min_annotations_to_start_training=shown)
    # Or whoever saves this project next would undo it.
    project.min_annotations_to_start_training = shown


def _check_enabled(project: Any, backend: str) -> None:
    registry.get(backend)
    if gate.active(project.pk, backend) is None:
        raise _not_enabled(project, backend)


def _not_enabled(project: Any, backend: str) -> NotEnabledError:
    return NotEnabledError(
        f'ML backend "{backend}" is not enabled on project {project.pk}; enable it on the ML backends page.'
    )


def _check_trainable(backend: str) -> None:
    reason = _why_not(backend)
    if reason:
        raise CannotTrainError(reason)


def _why_not(backend: str) -> str:
    """Why a plugin cannot learn; an empty string when it can."""
    try:
        if registry.get(backend).backend_class().can_fit():
            return ''
    except (Exception, SystemExit) as error:  # importing a plugin's class may raise anything
        return f'ML backend "{backend}" cannot be imported: {describe(error)}'
    return f'ML backend "{backend}" does not train; it predicts with the model it comes with.'


def _has_http_backend(project: Any) -> bool:
    from label_studio.ml_host.enabling.services import PLUGIN_SCHEME
    from label_studio.ml_host.upstream import UpstreamMLBackend

    return UpstreamMLBackend.objects.filter(project=project).exclude(url__startswith=PLUGIN_SCHEME).exists()


def _audit(row: ProjectBackend, user: Any) -> None:
    from label_studio.ml_host.enabling.services import audit

    audit(row.project, row.backend, BackendEvent.Action.LEARNING, user, on=row.learns, **row.learning)
