"""Versions and learning on a card: the parts that are asked for again, and the buttons."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.pages.compare import page_of
from label_studio.ml_host.pages.learning import learning_of, values_of
from label_studio.ml_host.pages.versions import versions_of
from label_studio.ml_host.pages.views import button, card_response, state_or_404
from ml_plugins.exceptions import ModelVersionError


@login_required
@require_GET
def learns(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """How far the labels are, asked for every two seconds; the whole card once something happened by itself."""
    project = access.project_of(request.user, pk)
    panel = learning_of(state_or_404(project, name))
    if panel is None or not panel.on or panel.seen != request.GET.get('seen'):
        return card_response(request, project, name, retarget=True)
    context = {'project': project, 'name': name, 'panel': panel}
    return render(request, 'ml_host/_learning_progress.html', context)


@login_required
@require_GET
def versions(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """The section with every version."""
    project = access.project_of(request.user, pk)
    state = state_or_404(project, name)
    return render(request, 'ml_host/_versions.html', {'state': state, 'panel': versions_of(state, every=True)})


@login_required
@require_GET
def compare(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Two versions on the same held-out tasks."""
    from label_studio.ml_host.quality.compare import compare as hold_against

    project = access.project_of(request.user, pk)
    state = state_or_404(project, name)
    wanted = sorted({int(number) for number in request.GET.getlist('version') if number.isdecimal()})
    versions = ModelVersion.objects.filter(project=project, backend=name)
    context: dict[str, Any] = {'project': project, 'state': state, 'wanted': wanted, 'offered': versions}
    if len(wanted) != 2:
        return render(request, 'ml_host/compare.html', context, status=400)
    first, second = (access.version_of(project, name, number) for number in wanted)
    serving = state.row.in_service if state.row is not None else None
    context['page'] = page_of(hold_against(first, second), serving)
    return render(request, 'ml_host/compare.html', context)


def _learn(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_learning(project, name, request.POST.get('on') == 'on', {}, request.user)


def _settings(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_learning(project, name, None, values_of(request.POST), request.user)


def _upload(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    file = request.FILES.get('file')
    if file is None:
        raise ModelVersionError('Choose the file of a version first: the .zip that "Download" gives.')
    actions.upload_version(project, name, file, request.user)


def _on_version(act) -> Any:
    """A button of one version."""
    return button(lambda request, project, name, number: act(access.version_of(project, name, number), request.user))


learn = button(_learn)
settings = button(_settings)
upload = button(_upload)
put_in_service = _on_version(lambda version, user: actions.put_in_service(version, user))
archive = _on_version(lambda version, user: actions.archive_version(version, user))
unarchive = _on_version(lambda version, user: actions.unarchive_version(version, user))
delete = _on_version(lambda version, user: actions.delete_version(version, user))
repeat = _on_version(lambda version, user: actions.repeat_version(version, user))
