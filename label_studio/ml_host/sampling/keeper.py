"""One thread in each web process that keeps the queues of active learning filled and their scores of today.

Whoever serves a task only notes in memory that a queue runs low. The thread also looks now and then for what nobody
tells it: another version in service, answers that a model has given, tasks that were imported. One process at a time
chooses for a project: its name stands in the plan's row.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
from django.db import DatabaseError, connection

from label_studio.ml_host.models import ProjectBackend, SamplingPlan
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling.courtesy import be_humble, give_way
from label_studio.ml_host.sampling import claims, coverage, homes, low, queueing, refill, tasks
from label_studio.ml_host.sampling.plans import active_plans
from label_studio.ml_host.sampling.refill import Job, Outcome
from label_studio.ml_host.sampling.scorer import NotWantedError, Scorer

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# Reading all tasks of a project takes at most this share of the time, unless its queue runs low.
LOOK_SHARE = 0.1
# A strategy that failed is asked again after this long, or for another version.
RETRY_SECONDS = 60.0
# Where nothing can be added to a queue, all tasks are read again after this long.
IDLE_SECONDS = 5.0
MOST_AHEAD = 16
SWEEP_SECONDS = 600.0
STOP_SECONDS = 3.0


def start() -> Keeper:
    """Start this process's keeper unless it runs already."""
    return _keepers.start()


def stop() -> None:
    """Choose no more."""
    if (ending := _keepers.take()) is not None:
        ending.stop()


@dataclass
class _Memory:
    """What this process remembers of a project.

    Attributes:
        signs: What the last look at all of its tasks was based on.
        rest_until: When all of its tasks may be read again; a queue that runs low does not wait for that.
        idle_until: When it may be looked at again; nothing could be done the last time.
        ahead: Batches that are chosen at once: more where people are quicker than the strategy.
        scored: Version by which tasks were last scored here.
        known: How many of them that version had answered then; -1: not done here.
        failed: The version, strategy and settings that did not work.
        retry_at: When they are tried again.
    """

    signs: tuple = ()
    rest_until: float = 0.0
    idle_until: float = 0.0
    ahead: int = 1
    scored: str = ''
    known: int = -1
    failed: tuple = ()
    retry_at: float = 0.0


class Keeper:
    """The thread of one process.

    Attributes:
        rounds: How often it has looked at every project.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self._stopping = threading.Event()
        self._scorer = Scorer()
        self._asker = coverage.Asker()
        self._memories: dict[int, _Memory] = {}
        self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._keep, name='sampling-keeper', daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, as far as it can be ended soon."""
        self._stopping.set()
        low.bell.ring()
        self._thread.join(STOP_SECONDS)
        self._scorer.close()

    def look(self) -> None:
        """Look at every project once."""
        noted = low.take()
        plans = list(active_plans().order_by('id'))
        # Where a queue runs low comes first.
        for plan in sorted(plans, key=lambda plan: plan.project_id not in noted):
            if self._stopping.is_set():
                return
            give_way()
            try:
                self.look_at(plan)
            except NotWantedError:
                logger.info('%s was changed, or another process chooses for it', plan)
            except DatabaseError:
                raise
            except Exception:
                logger.exception('%s could not be looked after', plan)
                self._memory(plan).idle_until = time.monotonic() + RETRY_SECONDS
        for project_id in self._memories.keys() - {plan.project_id for plan in plans}:
            del self._memories[project_id]
        self.rounds += 1

    def look_at(self, plan: SamplingPlan) -> Outcome | None:
        """Do for a project what is due; None when nothing is."""
        memory = self._memory(plan)
        row = claims.row_of(plan)
        if row is None or memory.idle_until > time.monotonic():
            return None
        waiting = queueing.waiting(plan).count()
        signs = self._signs(plan, row)
        now = time.monotonic()
        has_reason = signs != memory.signs or (memory.failed and memory.retry_at <= now)
        has_reason = has_reason or self._asker.wants_to_repeat(plan.project_id)
        if waiting >= refill.low_water(plan) and (not has_reason or memory.rest_until > now):
            return None
        with claims.claimed(plan, enabled=True) as claim:
            if claim is None:
                return None
            started = time.monotonic()
            try:
                outcome = self._do(plan, row, waiting, memory, claim)
                memory.signs = signs
                return outcome
            finally:
                memory.rest_until = time.monotonic() + (time.monotonic() - started) * (1 / LOOK_SHARE - 1)

    def close(self) -> None:
        """Give back what look-ups without the thread took, for tests."""
        self._scorer.close()

    def _do(
        self, plan: SamplingPlan, row: ProjectBackend, waiting: int, memory: _Memory, claim: claims.Claim
    ) -> Outcome | None:
        pool = tasks.unlabeled(plan.project_id)
        self._ask(row, pool)
        basis = coverage.basis_of(row, pool)
        known = memory.known if memory.scored == basis.label else -1
        is_settled = not coverage.is_answering(row, basis.label)
        job = refill.due(plan, basis, waiting, len(pool), known, is_settled)
        if job is None:
            memory.failed = ()
            # Fewer than before: some were changed, and when they are answered again it is growth.
            memory.scored, memory.known = basis.label, basis.known if known < 0 else min(known, basis.known)
            memory.idle_until = time.monotonic() + (IDLE_SECONDS if waiting < refill.low_water(plan) else 0.0)
            return None
        if not job.anew:
            memory.ahead = min(2 * memory.ahead, MOST_AHEAD) if not waiting else max(1, memory.ahead // 2)
        outcome = self._refill(plan, row, replace(job, ahead=memory.ahead), memory, claim)
        if not outcome.added and (not outcome.reason or waiting < refill.low_water(plan)):
            memory.idle_until = time.monotonic() + IDLE_SECONDS
        return outcome

    def _ask(self, row: ProjectBackend, pool: np.ndarray) -> None:
        try:
            self._asker.ask(row, pool, tasks.labeled(row.project_id))
        except DatabaseError:
            raise
        except Exception:  # importing a plugin's class may raise anything; what is known already is chosen by
            logger.exception('%s could not be asked about tasks for active learning', row)

    def _refill(
        self, plan: SamplingPlan, row: ProjectBackend, job: Job, memory: _Memory, claim: claims.Claim
    ) -> Outcome:
        tried = (job.label, repr(plan.chooses))
        if memory.failed == tried and memory.retry_at > time.monotonic():
            return refill.draw(plan, plan.fallback)
        outcome = refill.refill(plan, row, job, self._scorer, lambda: not self._stopping.is_set() and claim.renew())
        if outcome.reason:
            memory.failed, memory.retry_at = tried, time.monotonic() + RETRY_SECONDS
            return outcome
        memory.failed = ()
        if job.anew:
            memory.scored, memory.known = job.label, outcome.known
        return outcome

    def _signs(self, plan: SamplingPlan, row: ProjectBackend) -> tuple:
        """What changes when something may have to be done; costs as good as nothing."""
        labels = coverage.labels_of(row)
        newest = tasks.newest(plan.project_id)
        stores = tuple(homes.store_of(plan.project_id, label).changed_at for label in labels)
        run = coverage.latest_run(row, labels[0])
        return (*labels, *stores, newest, run, plan.scored_at is None, repr(plan.chooses))

    def _memory(self, plan: SamplingPlan) -> _Memory:
        return self._memories.setdefault(plan.project_id, _Memory())

    def _keep(self) -> None:
        be_humble()
        try:
            while not self._stopping.is_set():
                heard = low.bell.rings
                try:
                    # The connection stays open between two looks.
                    self.look()
                    self._sweep()
                except DatabaseError as error:
                    logger.warning('Queues of active learning could not be looked after: %s', error)
                    connection.close()
                except Exception:
                    logger.exception('Queues of active learning could not be looked after')
                self._scorer.close_if_idle()
                low.bell.wait(heard, POLL_SECONDS)
        finally:
            connection.close()

    def _sweep(self) -> None:
        """Remove answers that nobody chooses by any more."""
        if self._sweep_at <= time.monotonic():
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
            coverage.sweep()


_keepers = PerProcess(Keeper)
