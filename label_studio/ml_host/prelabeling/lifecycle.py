"""Changes of a bulk run's state; each is one conditional update, so that two processes cannot both make it."""

from __future__ import annotations

import logging

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Sum
from django.utils import timezone

from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.prelabeling import wakeup

logger = logging.getLogger(__name__)

State = PrelabelRun.State
# Ended runs kept for each project and backend: those that people started, and those that new versions began.
KEPT_RUNS = 20
KEPT_REFRESHES = 3


def counts(run_id: int) -> dict[str, int]:
    """Tasks of a run that are done, skipped and failed."""
    sums = PrelabelShard.objects.filter(run=run_id).aggregate(
        done=Sum('done', default=0), skipped=Sum('skipped', default=0), failed=Sum('failed', default=0)
    )
    return {name: int(value) for name, value in sums.items()}


def claim(run_id: int) -> bool:
    """Make a queued run the running one; False when another of its project and backend runs."""
    now = timezone.now()
    try:
        with transaction.atomic():
            taken = PrelabelRun.objects.filter(pk=run_id, state=State.QUEUED).update(
                state=State.RUNNING, started_at=now, done_before=sum(counts(run_id).values()), note='', error=''
            )
    except IntegrityError:
        return False
    return bool(taken)


def pause_refresh(project_id: int, backend: str) -> bool:
    """Let what somebody asked for go before a refresh that is running; it goes on where it stopped."""
    with transaction.atomic():
        run = PrelabelRun.objects.filter(project=project_id, backend=backend, state=State.RUNNING, refresh=True).first()
        if run is None or run.cancel_requested:
            return False
        paused = PrelabelRun.objects.filter(pk=run.pk, state=State.RUNNING, cancel_requested=False)
        if not paused.update(state=State.QUEUED, note='Waiting: another pre-labeling goes first.'):
            return False
        # Waits for a write that is under way; whoever works on it finds its lease gone.
        PrelabelShard.objects.filter(run=run.pk).update(owner='', heartbeat_at=None)
    return True


def end(run: PrelabelRun, state: State, error: str = '') -> bool:
    """End a running run; False when it has ended already. Work under way for it finds its lease gone."""
    with transaction.atomic():
        ended = PrelabelRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
            state=state, error=error, note='', ended_at=timezone.now()
        )
        if ended:
            PrelabelShard.objects.filter(run=run.pk).update(owner='', heartbeat_at=None)
    if ended:
        logger.info('Pre-label run %s of %s is %s%s', run.pk, run.backend, state.label.lower(), error and f': {error}')
        prune(run.project_id, run.backend)
        wakeup.work.ring()
    return bool(ended)


def end_if_complete(run: PrelabelRun) -> bool:
    """Finish a running run of which every shard has ended."""
    left = PrelabelShard.objects.filter(run=OuterRef('pk'), ended=False)
    if not PrelabelRun.objects.filter(~Exists(left), pk=run.pk, state=State.RUNNING).exists():
        return False
    return end(run, State.FINISHED)


def say(run_id: int, note: str) -> None:
    """Write down what the run waits for; an empty note when it goes on."""
    PrelabelRun.objects.filter(pk=run_id).exclude(note=note).update(note=note)


def start_clock_again(run: PrelabelRun) -> None:
    """Measure the rate from now on: nobody worked on the run for a while."""
    PrelabelRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
        started_at=timezone.now(), done_before=sum(counts(run.pk).values())
    )


def prune(project_id: int, backend: str) -> None:
    """Delete all but the newest ended runs with their failures."""
    ended = PrelabelRun.objects.filter(project=project_id, backend=backend, state__in=PrelabelRun.ENDED)
    ended = ended.order_by(F('ended_at').desc(nulls_last=True), '-pk').values_list('pk', flat=True)
    old = [*ended.filter(refresh=False)[KEPT_RUNS:], *ended.filter(refresh=True)[KEPT_REFRESHES:]]
    if old:
        PrelabelRun.objects.filter(pk__in=old).delete()
