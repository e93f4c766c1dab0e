"""The label errors of a card, and their buttons."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from label_studio.ml_host.api import access, actions
from label_studio.ml_host.label_errors.errors import ReviewError
from label_studio.ml_host.pages.label_errors import label_errors_of
from label_studio.ml_host.pages.views import button, card_response, state_or_404


@login_required
@require_GET
def panel(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """The run under way, asked for each second; the whole card once it has ended."""
    project = access.project_of(request.user, pk)
    found = label_errors_of(state_or_404(project, name))
    if found is None or not found.is_open:
        return card_response(request, project, name, retarget=True)
    return render(request, 'ml_host/_label_errors_run.html', {'project': project, 'name': name, 'panel': found})


def _review(request: HttpRequest, project: Any, name: str, number: int | None) -> None:
    annotation = request.POST.get('annotation', '')
    if not annotation.isdecimal():
        raise ReviewError(f'annotation: {annotation!r} must be the number of an annotation')
    run = access.label_error_run_of(project, name, number)
    actions.review_label(run, int(annotation), request.POST.get('verdict', ''), request.user)


start = button(lambda request, project, name, _: actions.look_for_label_errors(project, name, user=request.user))
cancel = button(
    lambda request, project, name, number: actions.cancel_label_errors(access.label_error_run_of(project, name, number))
)
review = button(_review)
