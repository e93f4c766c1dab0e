"""Score the tasks of one project and put the next batch into its queue: what has to be done, and the doing."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from label_studio.ml_host.learning.settings import LearningSettings
from label_studio.ml_host.models import ProjectBackend, SamplingPlan
from label_studio.ml_host.prelabeling.courtesy import give_way_before_writing
from label_studio.ml_host.sampling import homes, queueing, score_rows, tasks
from label_studio.ml_host.sampling.computing import LABELED, PICKS, POOL, SCORED, SCORES, Computed, Order
from label_studio.ml_host.sampling.coverage import ENOUGH, Basis
from label_studio.ml_host.sampling.queueing import Choice
from label_studio.ml_host.sampling.scorer import NotWantedError, Scorer
from ml_plugins.exceptions import MLPluginError

logger = logging.getLogger(__name__)

RANDOM = 'random'


@dataclass(frozen=True)
class Job:
    """What is done for a project.

    Attributes:
        anew: Score everything and choose anew; else only more tasks are chosen, by the scores as they are.
        label: Version to choose by; empty for none.
        ahead: How many batches are put into the queue at once.
    """

    anew: bool
    label: str
    ahead: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        added: Tasks that were put into the queue.
        known: Tasks that the version had answered.
        total: Unlabeled tasks that could be chosen.
        reason: Why the strategy did not choose; empty when it did.
    """

    added: int
    known: int = 0
    total: int = 0
    reason: str = ''


def refill(plan: SamplingPlan, row: ProjectBackend, job: Job, scorer: Scorer, is_wanted: Callable[[], bool]) -> Outcome:
    """Choose the next tasks of a project.

    A strategy that fails leaves the queue as it is; when that holds too little, tasks are drawn at random, and the plan
    says so.

    Raises:
        NotWantedError: The plan was switched off, or another process has taken over.
    """
    _next_epoch(plan)
    held = tasks.locked(plan.project_id) if job.anew else tasks.taken(plan.project_id)
    pool = np.setdiff1d(tasks.unlabeled(plan.project_id), held, assume_unique=True)
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix='sampling-', dir=_work_folder()))
    try:
        computed = scorer.compute(_order(plan, row, job, pool, work), settings.ML_SAMPLING_TIMEOUT, is_wanted)
        outcome = _take(plan, job, computed, work, np.union1d(pool, held))
    except (MLPluginError, OSError) as error:  # what a strategy says is wrong, or a full disk
        return _fall_back(plan, str(error))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    seconds = time.monotonic() - started
    logger.info(
        '%s: %d of %d tasks scored, %d queued, %.1f s', plan, outcome.known, outcome.total, outcome.added, seconds
    )
    return outcome


def _order(plan: SamplingPlan, row: ProjectBackend, job: Job, pool: np.ndarray, work: Path) -> Order:
    labeled = tasks.labeled(plan.project_id)
    strategy, params = plan.chooses
    np.save(work / POOL, pool)
    np.save(work / LABELED, labeled)
    return Order(
        store=str(homes.store_of(plan.project_id, job.label).folder) if job.label else '',
        work=str(work),
        strategy=strategy,
        params=params,
        seed=(plan.seed, plan.epoch),
        size=plan.batch * job.ahead,
        first=_until_next_version(row) if job.anew else 0,
        share=plan.explore,
        multi_label=_multi_label(row),
        answers=tasks.answers(labeled),
    )


def _take(plan: SamplingPlan, job: Job, computed: Computed, work: Path, wanted: np.ndarray) -> Outcome:
    """Put what was computed into the tables."""
    if job.anew:
        scored, scores = np.load(work / SCORED), np.load(work / SCORES)
        score_rows.write(plan.project_id, scored, scores, job.label, plan.chooses[0], timezone.now())
        score_rows.prune(plan.project_id, wanted)
    changes = {'fallback': '', 'explanation': computed.explanation}
    if job.anew:
        changes |= {'scored_version': job.label, 'scored_at': timezone.now()}
    choices = [_choice(pick) for pick in np.load(work / PICKS)]
    give_way_before_writing()
    with transaction.atomic():
        if _facts(SamplingPlan.objects.select_for_update().get(pk=plan.pk)) != _facts(plan):
            raise NotWantedError  # the settings were changed while the scores were computed
        added = queueing.append(plan, choices, job.label, replace=job.anew)
        SamplingPlan.objects.filter(pk=plan.pk).update(**changes)
    return Outcome(added, computed.known, computed.total)


def _facts(plan: SamplingPlan) -> tuple:
    return plan.enabled, plan.backend, plan.chooses, plan.explore, plan.batch, plan.seed, plan.worker


def _choice(pick: np.void) -> Choice:
    is_known = bool(pick['known'])
    return Choice(
        task_id=int(pick['task_id']),
        score=float(pick['score']) if is_known else None,
        rank=int(pick['rank']) if is_known else None,
        propensity=float(pick['propensity']),
        explored=bool(pick['explored']),
    )


def _fall_back(plan: SamplingPlan, reason: str) -> Outcome:
    if plan.fallback != reason:
        logger.warning('%s cannot choose, the last queue and then random tasks are served: %s', plan, reason)
    SamplingPlan.objects.filter(pk=plan.pk).update(fallback=reason)
    return draw(plan, reason)


def draw(plan: SamplingPlan, reason: str) -> Outcome:
    """Leave the last queue; where too little is left of it, draw tasks at random."""
    added = 0
    if queueing.waiting(plan).count() < low_water(plan):
        _next_epoch(plan)
        pool = tasks.unlabeled(plan.project_id)
        pool = np.setdiff1d(pool, tasks.taken(plan.project_id), assume_unique=True)
        rng = np.random.default_rng([plan.seed, plan.epoch])
        drawn = rng.choice(pool, min(plan.batch, len(pool)), replace=False)
        choices = [Choice(int(task), None, None, 1 / (len(pool) - place), True) for place, task in enumerate(drawn)]
        added = queueing.append(plan, choices, strategy=RANDOM)
    return Outcome(added, reason=reason)


def _next_epoch(plan: SamplingPlan) -> None:
    """The number of a choice is part of its seed, and never used twice."""
    SamplingPlan.objects.filter(pk=plan.pk).update(epoch=F('epoch') + 1)
    plan.refresh_from_db()


def low_water(plan: SamplingPlan) -> int:
    """With fewer tasks than this in the queue, more are chosen."""
    return max(1, plan.batch // 2)


def due(plan: SamplingPlan, basis: Basis, waiting: int, total: int, known: int, is_settled: bool) -> Job | None:
    """What has to be done for a project now.

    Args:
        basis: Which version to choose by, and how much it has answered.
        waiting: Tasks in the queue.
        total: Unlabeled tasks.
        known: How many tasks the version had answered when they were last scored; -1 when this process did not do it.
        is_settled: Nothing more is being answered.
    """
    is_first = plan.scored_at is None
    if not total:
        return None
    if is_first or basis.label != plan.scored_version:
        return Job(True, basis.label)
    if 0 <= known < basis.known and _is_worth_it(basis.known - known, known, total, is_settled):
        return Job(True, basis.label)
    return Job(False, basis.label) if waiting < min(low_water(plan), total) else None


def _is_worth_it(grown: int, known: int, total: int, is_settled: bool) -> bool:
    """Whether so many more tasks have been answered that another choice may come of it."""
    return grown >= ENOUGH * max(known, 1) or (is_settled and grown > 0.01 * total)


def _until_next_version(row: ProjectBackend) -> int:
    """How many tasks are labeled until another version is trained; 0 when none is by itself."""
    return LearningSettings.of(row.learning).after_labels if row.learns else 0


def _multi_label(row: ProjectBackend) -> list[str]:
    from ml_plugins.label_config import parse_label_config

    try:
        controls = parse_label_config(row.project.label_config).controls('Choices')
    except MLPluginError:
        return []
    return [control.name for control in controls if control.is_multiple]


def _work_folder() -> str:
    folder = Path(settings.ML_WORK_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
