"""Which process works for a project's plan: its name stands in a row, kept by signs of life."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend, SamplingFindings, SamplingPlan
from label_studio.ml_host.training.lifecycle import process_is_gone, process_name

# Who has not been heard of for so long has ended.
SILENT_SECONDS = 30.0
_RENEW_SECONDS = 5.0


@dataclass
class Claim:
    """The right to work on a row.

    Attributes:
        mine: The row, as long as the right lasts.
    """

    mine: QuerySet
    renewed_at: float

    def renew(self) -> bool:
        """Give a sign of life; False when the plan was switched off or another process has taken over."""
        if time.monotonic() - self.renewed_at < _RENEW_SECONDS:
            return True
        self.renewed_at = time.monotonic()
        return bool(self.mine.update(heartbeat_at=timezone.now()))


@contextlib.contextmanager
def claimed(row: SamplingPlan | SamplingFindings, **wanted: Any) -> Iterator[Claim | None]:
    """The claim while this lasts; None when another process has it.

    Args:
        row: A plan, of which one process chooses, or its findings, which one computes.
        wanted: What must hold of the row, and go on to hold.
    """
    row.refresh_from_db()
    worker = process_name()
    if row.worker not in ('', worker) and not _is_lost(row):
        yield None
        return
    rows = type(row).objects.filter(pk=row.pk)
    # Only one process finds the row as all of them read it.
    unchanged = rows.filter(worker=row.worker, heartbeat_at=row.heartbeat_at, **wanted)
    if not unchanged.update(worker=worker, heartbeat_at=timezone.now()):
        yield None
        return
    row.worker = worker
    try:
        yield Claim(rows.filter(worker=worker, **wanted), time.monotonic())
    finally:
        rows.filter(worker=worker).update(worker='', heartbeat_at=timezone.now())


def row_of(plan: SamplingPlan) -> ProjectBackend | None:
    """The backend of a plan with its version in service; None when it cannot be used now."""
    return gate.active(plan.project_id, plan.backend)


def _is_lost(row: SamplingPlan | SamplingFindings) -> bool:
    if row.heartbeat_at is None or process_is_gone(row.worker):
        return True
    return row.heartbeat_at < timezone.now() - timedelta(seconds=SILENT_SECONDS)
