"""Switch plugins on and off for projects; the only place that changes `ProjectBackend` rows."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from label_studio.ml_host.models import BackendEvent, ProjectBackend
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import parse_label_config
from ml_plugins.params import resolve_params
from ml_plugins.registry import Plugin, registry

PLUGIN_SCHEME = 'plugin://'


def plugin_url(backend: str) -> str:
    """The URL that stands for a plugin in upstream's ``ml.MLBackend`` rows."""
    return f'{PLUGIN_SCHEME}{backend}'


def plugin_name(url: str | None) -> str:
    """The plugin that a URL stands for, or an empty string for an ordinary HTTP backend."""
    return url[len(PLUGIN_SCHEME) :].strip('/') if url and url.startswith(PLUGIN_SCHEME) else ''


def audit(project, backend: str, action: str, user=None, **detail: Any) -> BackendEvent:
    """Record who did what."""
    known = user if user is not None and getattr(user, 'pk', None) else None
    return BackendEvent.objects.create(project=project, backend=backend, action=action, user=known, detail=detail)


def check_servable(project, plugin: Plugin) -> None:
    """Refuse a label config that the plugin cannot serve.

    Raises:
        PluginBrokenError: The plugin did not load.
        LabelConfigError: Names the plugin and the tag that is missing.
    """
    backend_class = plugin.backend_class()
    try:
        backend_class.check(parse_label_config(project.label_config))
    except LabelConfigError as error:
        raise LabelConfigError(f'{plugin.name} cannot serve project "{project.title}": {error}') from error


def why_not(project, plugin: Plugin) -> str:
    """Why the plugin cannot be enabled on the project; an empty string when it can."""
    try:
        check_servable(project, plugin)
    except Exception as error:  # a plugin's own check may raise anything
        return str(error)
    return ''


def enable(project, backend: str, user=None) -> ProjectBackend:
    """Switch a plugin on for a project and show it to upstream as a connected model.

    Raises:
        PluginNotFoundError: No such plugin; lists the installed ones.
        PluginBrokenError: It did not load.
        LabelConfigError: The label config lacks a tag that it needs.
    """
    from label_studio.ml_host.enabling import predictions
    from label_studio.ml_host.learning.services import take_over_switch

    plugin = registry.get(backend)
    check_servable(project, plugin)
    with transaction.atomic():
        row = _locked(project, backend)
        changed = not row.enabled
        row.enabled = True
        row.awaits_label_config = False
        # Saved before upstream's row exists: the signal of that row must find the plugin enabled already.
        row.save()
        if row.connection is None:
            row.connection = _connect(project, plugin)
            row.save(update_fields=['connection', 'updated_at'])
            predictions.adopt(row)
        if changed:
            audit(project, backend, BackendEvent.Action.ENABLED, user)
            take_over_switch(row, project, user)
    return row


def disable(project, backend: str, user=None, reason: str = '') -> ProjectBackend:
    """Switch a plugin off: nothing of it runs any more for this project; its versions stay.

    Args:
        project: Upstream's project.
        backend: Name of the plugin.
        user: Who did it.
        reason: Why the server did it by itself, a sentence for the page.
    """
    from label_studio.ml_host.learning.services import show_switch
    from label_studio.ml_host.prelabeling.runs import cancel_all

    with transaction.atomic():
        row = _locked(project, backend)
        changed = row.enabled
        connection = row.connection
        row.enabled = False
        row.awaits_label_config = False
        row.connection = None
        row.save()
        # First: a prediction that is written now would refer to the row that goes.
        cancel_all(project.pk, f'ML backend "{backend}" was disabled on this project.', user, backend)
        if connection is not None:
            connection.delete()
            # Upstream takes the model off a project of its own reading.
            project.refresh_from_db(fields=['model_version'])
        if changed:
            audit(project, backend, BackendEvent.Action.DISABLED, user, **({'reason': reason} if reason else {}))
        if changed and row.learns:
            show_switch(project)
    if changed:
        _stop(project, backend, user)
    return row


def set_params(project, backend: str, values: dict[str, Any], user=None) -> ProjectBackend:
    """Change a backend's parameters for a project; names that are not given go back to their default.

    Raises:
        ParameterError: Names the parameter, the value and what is allowed.
    """
    params = registry.get(backend).backend_class().params
    cleaned = resolve_params(params, values)
    defaults = {param.name: param.default for param in params}
    row, _ = ProjectBackend.objects.get_or_create(project=project, backend=backend)
    row.params = {name: value for name, value in cleaned.items() if name in values and value != defaults[name]}
    row.save(update_fields=['params', 'updated_at'])
    audit(project, backend, BackendEvent.Action.PARAMS, user, params=row.params)
    return row


def _locked(project, backend: str) -> ProjectBackend:
    """The row of a backend, which nobody else changes until the transaction ends."""
    row, _ = ProjectBackend.objects.get_or_create(project=project, backend=backend)
    return ProjectBackend.objects.select_for_update().get(pk=row.pk)


def _connect(project, plugin: Plugin):
    """Upstream's row for the plugin; a project without a selected model gets this one, as upstream does."""
    from label_studio.ml_host.upstream import MLBackendState, UpstreamMLBackend

    existing = UpstreamMLBackend.objects.filter(project=project, url=plugin_url(plugin.name)).first()
    connection = existing or UpstreamMLBackend.objects.create(
        project=project,
        url=plugin_url(plugin.name),
        title=plugin.name,
        description=str(plugin.config.description),
        state=MLBackendState.CONNECTED,
        is_interactive=plugin.backend_class().is_interactive,
    )
    if project.show_collab_predictions and not project.model_version:
        project.model_version = connection.title
        project.save(update_fields=['model_version'])
    return connection


def _stop(project, backend: str, user) -> None:
    """Unload the resident model and cancel what waits or runs."""
    from label_studio.ml_host.models import TrainingRun
    from label_studio.ml_host.serving import host
    from label_studio.ml_host.training import runs

    host.drop(project.pk, backend)
    for run in TrainingRun.objects.filter(project=project, backend=backend).exclude(state__in=TrainingRun.ENDED):
        runs.cancel(run, user)
