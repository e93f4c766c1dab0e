"""The replay part of a card, and its buttons."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.pages.replay import NUMBERS, latest_of
from label_studio.ml_host.pages.views import button, card_response, state_or_404


@login_required
@require_GET
def panel(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """The latest run, asked for each second while it is under way; the whole card once it has ended."""
    project = access.project_of(request.user, pk)
    state = state_or_404(project, name)
    view = latest_of(state)
    if view is None or view.run.has_ended:
        return card_response(request, project, name, retarget=True)
    return render(request, 'ml_host/_replay_run.html', {'project': project, 'name': name, 'view': view})


def _start(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    values = {field: request.POST[field] for field in NUMBERS if field in request.POST}
    actions.start_replay(project, name, {**values, 'strategies': request.POST.getlist('strategies')}, request.user)


def _use(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_sampling(project, name, None, {'strategy': request.POST.get('strategy', '')}, request.user)


start = button(_start)
use = button(_use)
cancel = button(lambda request, project, name, number: actions.cancel_replay(access.replay_of(project, name, number)))
