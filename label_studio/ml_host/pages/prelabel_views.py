"""The pre-labeling part of a card, and its buttons."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.pages.prelabel import failures_of, panel_of
from label_studio.ml_host.pages.views import button
from label_studio.ml_host.prelabeling.choices import model_of, skip_of


@login_required
@require_GET
def panel(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """The runs of one backend, asked for each second while one of them is under way."""
    project = access.project_of(request.user, pk)
    context = {'project': project, 'name': name, 'prelabel': panel_of(project, name)}
    return render(request, 'ml_host/_prelabel_runs.html', context)


@login_required
@require_GET
def failures(request: HttpRequest, pk: int, name: str, number: int) -> HttpResponse:
    """More failed tasks of a run."""
    project = access.project_of(request.user, pk)
    run = access.prelabel_run_of(project, name, number)
    wanted = request.GET.get('page', '1')
    context = {
        'project': project,
        'name': name,
        'run': run,
        'failures': failures_of(run, int(wanted) if wanted.isdecimal() else 1),
    }
    return render(request, 'ml_host/_prelabel_failures.html', context)


def _start(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    chosen = model_of(project, request.POST.get('model') or name)
    skip = skip_of(request.POST.get('skip') or 'nothing')
    actions.prelabel(
        project,
        name,
        version=chosen.version,
        skip_predicted=skip.predicted,
        skip_labeled=skip.labeled,
        user=request.user,
    )


def _switch_new(request: HttpRequest, project: Any, name: str, _number: int | None) -> None:
    actions.set_prelabel_new(project, name, request.POST.get('on') == 'on', request.user)


start = button(_start, by_url=True)
switch_new = button(_switch_new)
cancel = button(
    lambda request, project, name, number: actions.cancel_prelabel(
        access.prelabel_run_of(project, name, number), request.user
    ),
    by_url=True,
)
resume = button(
    lambda request, project, name, number: actions.resume_prelabel(
        access.prelabel_run_of(project, name, number), request.user
    ),
    by_url=True,
)
retry = button(
    lambda request, project, name, number: actions.retry_failed(
        access.prelabel_run_of(project, name, number), request.user
    ),
    by_url=True,
)
