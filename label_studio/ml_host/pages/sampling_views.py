"""Buttons and parts of the section *Active learning* of the ML backends page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.pages.sampling import sampling_of, values_of
from label_studio.ml_host.pages.views import button, card_response, state_or_404


@login_required
@require_GET
def sampling(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """How many tasks wait, asked for every two seconds; the whole card once something was found out."""
    project = access.project_of(request.user, pk)
    panel = sampling_of(state_or_404(project, name))
    if panel is None or not panel.on or panel.seen != request.GET.get('seen'):
        return card_response(request, project, name, retarget=True)
    return render(request, 'ml_host/_sampling_now.html', {'project': project, 'name': name, 'panel': panel})


def _switch(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_sampling(project, name, request.POST.get('on') == 'on', {}, request.user)


def _settings(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_sampling(project, name, None, values_of(request.POST), request.user)


switch = button(_switch)
settings = button(_settings)
refresh = button(lambda request, project, name, _: actions.refresh_findings(project, name))
use_again = button(lambda request, project, name, _: actions.use_strategy_again(project, name, request.user))
