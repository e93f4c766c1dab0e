"""Entries of the Data Manager's Actions menu: they start a pre-labeling and answer at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from label_studio.ml_host.api import actions
from label_studio.ml_host.api.errors import status_of
from label_studio.ml_host.data_manager.selection import chosen_tasks
from label_studio.ml_host.enabling import gate
from label_studio.ml_host.enabling.services import plugin_name
from label_studio.ml_host.http_backends.rows import connections_of, name_of
from label_studio.ml_host.models import PrelabelRun
from label_studio.ml_host.prelabeling.choices import SKIPS, Model, Skip, model_of, models_of_project, skip_of
from label_studio.ml_host.prelabeling.on_open import selected_backend
from ml_plugins.exceptions import MLPluginError

RETRIEVE = 'retrieve_tasks_predictions'


def register() -> None:
    """Put our entries into the menu; called once, when our app is ready."""
    from label_studio.ml_host.upstream import all_permissions, register_action

    register_action(
        prelabel_tasks,
        'Pre-label with…',
        89,
        permission=all_permissions.predictions_any,
        disabled=_nothing_enabled,
        disabled_reason='Switch on a model in Settings, ML backends, first.',
        dialog={
            'title': 'Pre-label with…',
            'text': 'A model predicts the selected tasks in the background. You can go on working or close the page; '
            'progress is shown here and on the ML backends page.',
            'type': 'confirm',
            'form': _form,
        },
    )
    known = {key: value for key, value in settings.DATA_MANAGER_ACTIONS[RETRIEVE].items() if key != 'id'}
    text = (
        'Predict the selected tasks with the model that is connected to the project. It works in the background; see '
        'its progress on the ML backends page.'
    )
    register_action(**{**known, 'dialog': {**known['dialog'], 'text': text}})


def prelabel_tasks(project, queryset: QuerySet, **kwargs: Any) -> dict[str, Any]:
    """Pre-label the selected tasks with the model and the exceptions that the form names."""
    request = kwargs['request']
    try:
        model = model_of(project, str(request.data.get('model') or ''))
        return _start(project, queryset, request, model, skip_of(str(request.data.get('skip') or SKIPS[0].value)))
    except MLPluginError as error:
        return _refusal(error)


def retrieve(original: Callable[..., Any], project, queryset: QuerySet, **kwargs: Any) -> dict[str, Any]:
    """Seam of ``retrieve_tasks_predictions``: every model predicts in the background, as *Pre-label with…* does."""
    try:
        wanted = _wanted(project)
        if wanted is None:
            return original(project, queryset, **kwargs)
        return _start(project, queryset, kwargs['request'], model_of(project, wanted), SKIPS[0])
    except MLPluginError as error:
        return _refusal(error)


def _wanted(project) -> str | None:
    """The model to ask: the selected one, else the first, as upstream does; None where there is none."""
    first = project.ml_backend
    if selected_backend(project) is not None or (first is not None and plugin_name(first.url)):
        return ''
    http = connections_of(project)
    return name_of(http[0]) if http else None


def _start(project, queryset: QuerySet, request, model: Model, skip: Skip) -> dict[str, Any]:
    run = actions.prelabel(
        project,
        model.row.backend,
        task_ids=chosen_tasks(request, project, queryset),
        version=model.version,
        skip_predicted=skip.predicted,
        skip_labeled=skip.labeled,
        user=request.user,
    )
    return {'processed_items': run.total, 'detail': _started(run), 'run': run.pk}


def _started(run: PrelabelRun) -> str:
    before = PrelabelRun.objects.filter(project=run.project_id, backend=run.backend, pk__lt=run.pk)
    what = f'Pre-labeling of {run.total} task{"" if run.total == 1 else "s"}'
    waits = before.exclude(state__in=PrelabelRun.ENDED).exists()
    how = 'waits for the one before it' if waits else 'has started'
    return f'{what} {how}; see its progress on the ML backends page'


def _refusal(error: MLPluginError) -> dict[str, Any]:
    return {'response_code': status_of(error), 'detail': str(error), 'code': error.code}


def _nothing_enabled(user, project) -> bool:
    return not gate.active_of_project(project.pk) and not connections_of(project)


def _form(user, project) -> list[dict[str, Any]]:
    models = [{'value': model.value, 'label': model.title} for model in models_of_project(project)]
    skips = [{'value': skip.value, 'label': skip.title} for skip in SKIPS]
    return [
        {'columnCount': 1, 'fields': [_select('model', 'Model', models)]},
        {'columnCount': 1, 'fields': [_select('skip', 'Tasks', skips)]},
    ]


def _select(name: str, label: str, options: list[dict[str, str]]) -> dict[str, Any]:
    value = options[0]['value'] if options else None
    return {'type': 'select', 'name': name, 'label': label, 'options': options, 'value': value}
