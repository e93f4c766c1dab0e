"""Which process chooses for a project: its name stands in the plan's row, kept by signs of life."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend, SamplingPlan
from label_studio.ml_host.training.lifecycle import process_is_gone, process_name

# Who has not been heard of for so long has ended.
SILENT_SECONDS = 30.0
_RENEW_SECONDS = 5.0


@dataclass
class Claim:
    """The right to choose for a project."""

    plan_id: int
    worker: str
    renewed_at: float

    def renew(self) -> bool:
        """Give a sign of life; False when the plan was switched off or another process has taken over."""
        if time.monotonic() - self.renewed_at < _RENEW_SECONDS:
            return True
        self.renewed_at = time.monotonic()
        mine = SamplingPlan.objects.filter(pk=self.plan_id, worker=self.worker, enabled=True)
        return bool(mine.update(heartbeat_at=timezone.now()))


@contextlib.contextmanager
def claimed(plan: SamplingPlan) -> Iterator[Claim | None]:
    """The claim while this lasts; None when another process has it."""
    plan.refresh_from_db()
    worker = process_name()
    if plan.worker not in ('', worker) and not _is_lost(plan):
        yield None
        return
    # Only one process finds the row as all of them read it.
    unchanged = SamplingPlan.objects.filter(
        pk=plan.pk, enabled=True, worker=plan.worker, heartbeat_at=plan.heartbeat_at
    )
    if not unchanged.update(worker=worker, heartbeat_at=timezone.now()):
        yield None
        return
    plan.worker = worker
    try:
        yield Claim(plan.pk, worker, time.monotonic())
    finally:
        SamplingPlan.objects.filter(pk=plan.pk, worker=worker).update(worker='', heartbeat_at=timezone.now())


def row_of(plan: SamplingPlan) -> ProjectBackend | None:
    """The backend of a plan with its version in service; None when it cannot be used now."""
    return gate.active(plan.project_id, plan.backend)


def _is_lost(plan: SamplingPlan) -> bool:
    if plan.heartbeat_at is None or process_is_gone(plan.worker):
        return True
    return plan.heartbeat_at < timezone.now() - timedelta(seconds=SILENT_SECONDS)
