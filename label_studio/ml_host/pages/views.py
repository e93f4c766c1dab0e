"""The ML backends page of a project, its parts, and its buttons."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.api.log_files import tail
from label_studio.ml_host.api.state import BackendState, state_of, states_of
from label_studio.ml_host.api.views import log_response
from label_studio.ml_host.http_backends.rows import connection_of, connections_of, is_http
from label_studio.ml_host.logs import RUNTIME_LOG, run_log_path
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.pages.cards import card_of, runs_of
from label_studio.ml_host.pages.http_cards import http_card_of
from label_studio.ml_host.task_data.remote import remote_of
from label_studio.ml_host.upstream import enforce_csrf_checks
from ml_plugins.exceptions import MLPluginError, PluginNotFoundError

logger = logging.getLogger(__name__)

RUNTIME_LOG_LINES = 100


@login_required
@require_GET
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Every installed plugin and what can be done with it in this project."""
    project = access.project_of(request.user, pk)
    cards = [card_of(state, request) for state in sorted(states_of(project), key=_usefulness)]
    http_cards = [http_card_of(connection) for connection in connections_of(project)]
    log = tail(settings.ML_LOG_DIR / RUNTIME_LOG, RUNTIME_LOG_LINES)
    context = {
        'project': project,
        'cards': cards,
        'http_cards': http_cards,
        'remote': remote_of(project.pk),
        'runtime_log': log,
        'runtime_log_lines': RUNTIME_LOG_LINES,
    }
    return render(request, 'ml_host/page.html', context)


@login_required
@require_GET
def card(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """One plugin's card, for the page to replace."""
    return card_response(request, access.project_of(request.user, pk), name)


@login_required
@require_GET
def runs(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """The training runs under way, asked for each second; the whole card once one of those shown has ended."""
    project = access.project_of(request.user, pk)
    shown = [int(number) for number in request.GET.get('shown', '').split(',') if number.isdecimal()]
    own = TrainingRun.objects.filter(project=project, backend=name)
    if own.filter(pk__in=shown, state__in=TrainingRun.ENDED).exists() or not own.exists():
        return card_response(request, project, name, retarget=True)
    return render(request, 'ml_host/_runs.html', {'project': project, 'name': name, 'runs': runs_of(project, name)})


@login_required
@require_GET
def run_log(request: HttpRequest, pk: int, name: str, run: int) -> HttpResponse:
    """The whole log of one training run as text."""
    found = access.run_of(access.project_of(request.user, pk), name, run)
    return log_response(run_log_path(settings.ML_LOG_DIR, found.pk))


@login_required
@require_GET
def runtime_log(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole runtime log as text."""
    access.project_of(request.user, pk)
    return log_response(settings.ML_LOG_DIR / RUNTIME_LOG)


def button(act: Callable[[HttpRequest, Any, str, Any], object], by_url: bool = False) -> Callable[..., HttpResponse]:
    """A view for one button: checks, does it, and answers with the card, which shows the error if there is one.

    Args:
        act: What the button does.
        by_url: Whether backends that are connected by URL have the button, too.
    """

    @enforce_csrf_checks
    @login_required
    @require_POST
    def view(request: HttpRequest, pk: int, name: str, number: int | None = None) -> HttpResponse:
        project = access.project_of(request.user, pk)
        _ = connection_or_404(project, name) if by_url and is_http(name) else state_or_404(project, name)
        error = ''
        try:
            act(request, project, name, number)
        except MLPluginError as problem:
            error = str(problem)
            logger.info('Refused on project %s, %s: %s', pk, name, error)
        if 'HX-Request' not in request.headers:
            if error:
                messages.error(request, error)
            return redirect('ml_host:page', pk=pk)
        return card_response(request, project, name, error)

    return view


def _params(request: HttpRequest, project, name: str, _number) -> None:
    known = {param.name for param in state_of(project, name).param_list}
    values = {key: request.POST.getlist(key)[-1] for key in request.POST if key in known}
    actions.change_params(project, name, values, request.user)


enable = button(lambda request, project, name, _: actions.switch(project, name, True, request.user))
disable = button(lambda request, project, name, _: actions.switch(project, name, False, request.user))
params = button(_params)
train = button(lambda request, project, name, _: actions.train(project, name, request.user))
cancel = button(
    lambda request, project, name, number: actions.cancel(access.run_of(project, name, number), request.user)
)
reset = button(lambda request, project, name, _: actions.reset_breaker(project, name, request.user))


def _usefulness(state: BackendState) -> tuple[bool, bool, str]:
    """Enabled ones come first, then those that can be enabled."""
    return not state.enabled, bool(state.why_not) or not state.usable, state.title


def state_or_404(project, name: str):
    """The state of a plugin in a project; 404 when there is none of that name."""
    try:
        return state_of(project, name)
    except PluginNotFoundError as error:
        raise Http404(str(error)) from error


def connection_or_404(project, name: str):
    """A backend that is connected to a project by URL; 404 when there is none of that name."""
    connection = connection_of(project.pk, name)
    if connection is None:
        raise Http404(f'No ML backend "{name}" is connected to this project.')
    return connection


def card_response(request: HttpRequest, project, name: str, error: str = '', retarget: bool = False) -> HttpResponse:
    """The whole card, and with `retarget` in place of the old one whatever part of it was asked for."""
    if is_http(name):
        card, template = http_card_of(connection_or_404(project, name), error), 'ml_host/_http_card.html'
    else:
        card, template = card_of(state_or_404(project, name), request, error), 'ml_host/_card.html'
    response = render(request, template, {'project': project, 'card': card})
    if retarget:
        response['HX-Retarget'] = f'#ml-card-{name}'
        response['HX-Reswap'] = 'outerHTML'
    return response
