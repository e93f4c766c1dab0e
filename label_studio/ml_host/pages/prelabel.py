"""What the ML backends page shows of a backend's pre-labeling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.utils import timezone

from label_studio.ml_host.api.state import BackendState
from label_studio.ml_host.models import PrelabelFailure, PrelabelRun
from label_studio.ml_host.prelabeling.choices import SKIPS, Model, Skip, models_of
from label_studio.ml_host.prelabeling.overview import active_runs, runs_of
from label_studio.ml_host.prelabeling.progress import Progress, progress

FAILURES_A_PAGE = 50
SHOWN_RUNS = 10


@dataclass(frozen=True)
class PrelabelView:
    """A run and how far it is."""

    run: PrelabelRun
    progress: Progress

    @property
    def counts(self) -> str:
        """Tasks by what became of them, and of how many."""
        found = self.progress
        parts = [f'{number:,} {name}' for name, number in _counted(found) if number or name == 'done']
        return f'{", ".join(parts)} of {found.total:,} task{"" if found.total == 1 else "s"}'

    @property
    def speed(self) -> str:
        """Tasks a second, or a minute where they are few."""
        rate = self.progress.rate
        if not rate:
            return ''
        return f'{rate:,.{0 if rate >= 10 else 1}f} tasks/s' if rate >= 1 else f'{rate * 60:.1f} tasks/min'

    @property
    def time_left(self) -> str:
        """Estimated time left; empty when nothing can be said."""
        left = self.progress.seconds_left
        return clock(math.ceil(left)) if left is not None and left < 100 * 3600 else ''

    @property
    def elapsed(self) -> str:
        """Time since the start or the latest resume, or how long that took."""
        begin = self.run.started_at
        return clock(((self.run.ended_at or timezone.now()) - begin).total_seconds()) if begin else ''

    @property
    def left_out(self) -> str:
        """The tasks that it was told to leave out."""
        wanted = (self.run.skip_predicted, self.run.skip_labeled)
        return next(skip.title for skip in SKIPS if (skip.predicted, skip.labeled) == wanted) if any(wanted) else ''

    @property
    def can_resume(self) -> bool:
        """Whether it stopped before its end."""
        return self.run.state in (PrelabelRun.State.CANCELLED, PrelabelRun.State.FAILED)

    @property
    def can_retry(self) -> bool:
        """Whether there are failed tasks to try again."""
        return self.run.has_ended and self.progress.failed > 0

    @property
    def failures(self) -> Page[PrelabelFailure]:
        """The first failed tasks."""
        return failures_of(self.run, 1)


@dataclass(frozen=True)
class PrelabelPanel:
    """The part of a card that follows the runs.

    Attributes:
        shown: The runs that run or wait, else the latest.
        earlier: Runs that ended before those.
    """

    shown: Sequence[PrelabelView]
    earlier: Sequence[PrelabelView]

    @property
    def is_active(self) -> bool:
        """Whether there is something to follow."""
        return any(not view.run.has_ended for view in self.shown)


@dataclass(frozen=True)
class PrelabelForm:
    """What can be chosen before a start."""

    models: Sequence[Model]
    needs_training: bool
    skips: Sequence[Skip] = SKIPS


def panel_of(project, backend: str) -> PrelabelPanel:
    """The runs to show."""
    recent = list(runs_of(project, backend)[: SHOWN_RUNS + 1])
    shown = active_runs(project, backend) or recent[:1]
    known = {run.pk for run in shown}
    earlier = [run for run in recent if run.pk not in known and run.has_ended]
    return PrelabelPanel([_view(run) for run in shown], [_view(run) for run in earlier[:SHOWN_RUNS]])


def form_of(state: BackendState) -> PrelabelForm | None:
    """The form; None for a backend that cannot be used."""
    if state.row is None or not state.enabled or not state.usable:
        return None
    return PrelabelForm(list(models_of(state.row)), _needs_training(state))


def failures_of(run: PrelabelRun, page: int) -> Page[PrelabelFailure]:
    """A page of failed tasks; the last one when there are fewer."""
    return Paginator(run.failures.all(), FAILURES_A_PAGE).get_page(page)


def clock(seconds: float) -> str:
    """A duration as ``1:02:03`` or ``2:03``."""
    hours, rest = divmod(max(0, int(seconds)), 3600)
    minutes, left = divmod(rest, 60)
    return f'{hours}:{minutes:02}:{left:02}' if hours else f'{minutes}:{left:02}'


def _view(run: PrelabelRun) -> PrelabelView:
    return PrelabelView(run, progress(run))


def _counted(found: Progress) -> list[tuple[str, int]]:
    return [('done', found.done), ('skipped', found.skipped), ('failed', found.failed)]


def _needs_training(state: BackendState) -> bool:
    from label_studio.ml_host.serving import host

    try:
        return host.needs_training(state.row)
    except Exception:  # importing a plugin's class may raise anything; the start says what
        return False
