"""How far a bulk run is, how fast, and how long it will take."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from label_studio.ml_host.models import PrelabelRun
from label_studio.ml_host.prelabeling.lifecycle import State, counts


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        total: Tasks of the run when it was started.
        done: Tasks that the model dealt with; a model may have nothing to say about one.
        skipped: Tasks that were left out: already predicted or labeled, as asked, or deleted meanwhile.
        failed: Tasks without a prediction, see the run's failures.
        percent: 0..100.
        rate: Tasks a second since the start or the latest resume.
        seconds_left: Estimated from the rate; None when nothing can be said.
        state: One of `PrelabelRun.State`.
        note: What it waits for, in a sentence.
        error: Why it failed or was stopped, in a sentence.
    """

    total: int
    done: int
    skipped: int
    failed: int
    percent: int
    rate: float
    seconds_left: float | None
    state: str
    note: str
    error: str

    @property
    def dealt_with(self) -> int:
        """Tasks behind the run."""
        return self.done + self.skipped + self.failed


def progress(run: PrelabelRun) -> Progress:
    """Where the run stands now; one statement, plus none for the run, which is taken as it is."""
    found = counts(run.pk)
    dealt_with = sum(found.values())
    rate = _rate(run, dealt_with)
    left = max(0, run.total - dealt_with)
    is_moving = run.state == State.RUNNING and rate > 0 and not run.note
    return Progress(
        total=run.total,
        **found,
        percent=_percent(run, dealt_with),
        rate=rate,
        seconds_left=left / rate if is_moving else None,
        state=run.state,
        note=run.note,
        error=run.error,
    )


def _percent(run: PrelabelRun, dealt_with: int) -> int:
    if run.state == State.FINISHED:
        return 100
    return min(99, 100 * dealt_with // run.total) if run.total else 0


def _rate(run: PrelabelRun, dealt_with: int) -> float:
    if run.started_at is None or run.state == State.QUEUED:
        return 0.0
    seconds = ((run.ended_at or timezone.now()) - run.started_at).total_seconds()
    # A run that was queued again keeps counts of before, which say nothing about the speed now.
    return max(0, dealt_with - run.done_before) / seconds if seconds > 0 else 0.0
