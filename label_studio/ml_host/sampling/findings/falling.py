"""Fall back to random when active learning does worse than that, and go back to it later: never to and fro.

Random serving is what the comparison is made with: it costs nothing beyond what a bad strategy costs anyway, needs no
model, and every label of it tells about all tasks. The strategy gets another try when there are twice as many labels as
when it failed, or when a person says so; what it did before is no evidence against it then.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from label_studio.ml_host.models import BackendEvent, SamplingFindings, SamplingPlan
from label_studio.ml_host.sampling import low, queueing

logger = logging.getLogger(__name__)

INSTEAD = 'random'
# Another try comes when there are so many times the labels.
AGAIN_AT = 2


def fall_back(plan: SamplingPlan, labels: int, why: str) -> bool:
    """Serve tasks at random from now on; False when that is so already. Takes place in the caller's transaction.

    Args:
        labels: Labeled tasks now.
        why: What the comparison says.
    """
    if not SamplingPlan.objects.filter(pk=plan.pk, enabled=True, instead='').update(instead=INSTEAD):
        return False
    SamplingFindings.objects.filter(pk=plan.pk).update(
        fell_back_at=timezone.now(), fell_back_labels=labels, fell_back_why=why
    )
    _choose_anew(plan, 'active learning does worse than random')
    _audit(plan, BackendEvent.Action.SAMPLING_FALLBACK, strategy=plan.strategy, instead=INSTEAD, reason=why)
    logger.warning('%s: tasks are served at random from now on. %s', plan, why)
    return True


def use_again(plan: SamplingPlan, user: Any = None) -> bool:
    """Let the plan's own strategy choose again, and judge it by what comes from now on; False when it does already.

    Args:
        user: Who asked; None for the server itself.
    """
    with transaction.atomic():
        now = timezone.now()
        fallen = SamplingPlan.objects.filter(pk=plan.pk).exclude(instead='')
        if not fallen.update(instead='', judged_from=now):
            return False
        forget(plan)
        _choose_anew(plan, 'active learning is tried again')
        _audit(plan, BackendEvent.Action.SAMPLING_AGAIN, user, strategy=plan.strategy)
    logger.info('%s is tried again', plan)
    return True


def forget(plan: SamplingPlan) -> None:
    """What was found about another strategy, or about an earlier try, says nothing about this one."""
    SamplingFindings.objects.filter(pk=plan.pk).update(
        report={}, basis='', fell_back_at=None, fell_back_labels=0, fell_back_why=''
    )


def is_time(plan: SamplingPlan, findings: SamplingFindings, labels: int) -> bool:
    """Whether a strategy that failed gets another try by itself."""
    return bool(plan.instead) and labels >= again_at(findings)


def again_at(findings: SamplingFindings) -> int:
    """With how many labels it does."""
    return max(1, AGAIN_AT * findings.fell_back_labels)


def _choose_anew(plan: SamplingPlan, reason: str) -> None:
    SamplingPlan.objects.filter(pk=plan.pk).update(scored_version='', scored_at=None, fallback='', explanation='')
    queueing.drop_all(plan, reason)
    plan.refresh_from_db()
    transaction.on_commit(lambda: low.note(plan.project_id))


def _audit(plan: SamplingPlan, action: BackendEvent.Action, user: Any = None, **detail: Any) -> None:
    from label_studio.ml_host.enabling.services import audit

    audit(plan.project, plan.backend, action, user, **detail)
