"""Look for label errors, and take down what people say of the suspected ones: what pages and API call."""

from __future__ import annotations

from typing import Any

from label_studio.ml_host.analysis import lifecycle
from label_studio.ml_host.analysis.features import check_version
from label_studio.ml_host.analysis.labels import check_enough, control_of
from label_studio.ml_host.label_errors import second_opinions
from label_studio.ml_host.label_errors.errors import ReviewError
from label_studio.ml_host.label_errors.result import Found, Suspect
from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import LabelErrorRun, LabelReview, ProjectBackend

FEWEST_LABELS = 30
# Labels that are kept of a project's: the newest ones of more.
MOST_LABELS = 10_000
WHAT = 'A look for label errors'
Verdict = LabelReview.Verdict


def start(project: Any, backend: str, control: str = '', user: Any = None) -> LabelErrorRun:
    """Queue a look for label errors.

    Args:
        project: Upstream's project.
        backend: Name of the plugin whose embeddings are used.
        control: Name of the control in the label config; empty for the first that will do.
        user: Who asked.

    Raises:
        AnalysisOptionError: There is no such control.
        AnalysisError: The project or the backend has too little for it; says what and how much is needed.
        NotEnabledError: The backend is not enabled on the project.
        AnalysisQueueError: Redis cannot be reached.
    """
    row = lifecycle.check_enabled(project, backend)
    name = control_of(project, control)
    check_version(row)
    check_enough(project, name, rule_of(row), FEWEST_LABELS, MOST_LABELS, WHAT)
    return lifecycle.start(LabelErrorRun, project, backend, user, {'control': name})


def cancel(run: LabelErrorRun) -> None:
    """End a look that waits; ask one that runs to stop."""
    lifecycle.cancel(run)


def review(run: LabelErrorRun, annotation_id: int, verdict: str, user: Any = None) -> LabelReview | None:
    """Say of a suspected label that it is right, ask somebody else about it, or take back what was said.

    Args:
        run: The finished run that suspects it.
        annotation_id: The annotation that gives it.
        verdict: One of `LabelReview.Verdict`; empty takes back.
        user: Who says so.

    Raises:
        ReviewError: The label is not suspected, or nobody can be asked; the message says why.
    """
    suspect, control = _suspect(run, annotation_id)
    if verdict not in ('', *Verdict.values):
        raise ReviewError(f'verdict: {verdict!r} must be one of {", ".join(Verdict.values)}, or empty to take it back')
    own = LabelReview.objects.filter(project=run.project_id, annotation_id=annotation_id, control=control)
    if verdict == Verdict.SECOND_OPINION:
        return second_opinions.ask(run.project, suspect, control, user)
    for before in own:
        second_opinions.withdraw(before)
    if not verdict:
        return None
    return LabelReview.objects.create(
        project=run.project,
        task_id=suspect.task_id,
        annotation_id=annotation_id,
        control=control,
        given=suspect.given,
        verdict=verdict,
        created_by=user,
    )


def rule_of(row: ProjectBackend) -> str:
    """Which of several annotations of a task counts."""
    return LearningSettings.of(row.learning).annotators


def _suspect(run: LabelErrorRun, annotation_id: int) -> tuple[Suspect, str]:
    found = Found.of(run.result) if run.result else None
    for suspect in found.suspects if found is not None else ():
        if suspect.annotation_id == annotation_id:
            return suspect, found.control
    raise ReviewError(f'annotation: {annotation_id} is none of those that run {run.pk} suspects')
