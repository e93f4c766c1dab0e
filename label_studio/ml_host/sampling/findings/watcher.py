"""One thread in each web process that works out whether active learning is worth it, when there is something new.

It is not the thread that fills queues: curves through thousands of labels take longer than a queue lasts. One process
at a time computes for a plan; its name stands in the row of the findings.
"""

from __future__ import annotations

import logging
import threading
import time
from hashlib import sha256

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from label_studio.ml_host.models import ProjectBackend, SamplingFindings, SamplingPlan
from label_studio.ml_host.per_process import PerProcess
from label_studio.ml_host.prelabeling.courtesy import be_humble, give_way, give_way_before_writing
from label_studio.ml_host.prelabeling.wakeup import Bell
from label_studio.ml_host.sampling import claims, coverage
from label_studio.ml_host.sampling.findings import falling, labels
from label_studio.ml_host.sampling.findings.examining import Examined, Examiner, versions_of
from label_studio.ml_host.sampling.plans import active_plans
from label_studio.ml_host.sampling.scorer import NotWantedError, Scorer
from ml_plugins.exceptions import MLPluginError

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
# New labels that are worth another look: so many, and this share of all.
FEWEST_NEW, NEW_SHARE = 10, 0.1
# Computing for one project takes at most this share of the time, unless a person asks for it.
SHARE = 0.1
# Who could not be looked at is left alone for so long.
RETRY_SECONDS = 60.0
STOP_SECONDS = 3.0

# Rings when somebody asks for findings now.
bell = Bell()


def start() -> Watcher:
    """Start this process's thread unless it runs already."""
    return _watchers.start()


def stop() -> None:
    """Compute no more."""
    if (ending := _watchers.take()) is not None:
        ending.stop()


class Watcher:
    """The thread of one process."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._scorer = Scorer()
        self._rest_until: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, name='sampling-findings', daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, as far as it can be ended soon."""
        self._stopping.set()
        bell.ring()
        self._thread.join(STOP_SECONDS)
        self._scorer.close()

    def close(self) -> None:
        """Give back what look-ups without the thread took, for tests."""
        self._scorer.close()

    def look(self) -> None:
        """Look at every plan once."""
        for plan in active_plans().select_related('project', 'findings').order_by('id'):
            if self._stopping.is_set():
                return
            give_way()
            try:
                self.look_at(plan)
            except NotWantedError:
                logger.info('%s was changed, or another process computes for it', plan)
            except DatabaseError:
                raise
            except Exception:
                logger.exception('%s could not be judged', plan)
                self._rest_until[plan.pk] = time.monotonic() + RETRY_SECONDS

    def look_at(self, plan: SamplingPlan) -> Examined | None:
        """Compute what is due for a plan; None when nothing is."""
        row = claims.row_of(plan)
        if row is None:
            return None
        findings = _findings_of(plan)
        if not findings.asked_at and self._rest_until.get(plan.pk, 0.0) > time.monotonic():
            return None
        is_answering = coverage.is_answering(row, coverage.labels_of(row)[0])
        basis = basis_of(plan, row, is_answering)
        if not is_due(plan, findings, basis, is_answering):
            return None
        with claims.claimed(findings, plan__enabled=True) as claim:
            # Another process may have been quicker.
            if claim is None or not is_due(plan, findings, basis, is_answering):
                return None
            started = time.monotonic()
            try:
                return self._examine(plan, row, findings, basis, claim)
            finally:
                self._rest_until[plan.pk] = time.monotonic() + (time.monotonic() - started) * (1 / SHARE - 1)

    def _examine(
        self, plan: SamplingPlan, row: ProjectBackend, findings: SamplingFindings, basis: str, claim: claims.Claim
    ) -> Examined | None:
        examiner = Examiner(plan, row, self._scorer, lambda: not self._stopping.is_set() and claim.renew())
        try:
            found, error = examiner.examine(findings.report), ''
        except (MLPluginError, OSError) as problem:  # what takes too long, or a full disk
            logger.warning('%s could not be judged: %s', plan, problem)
            newest = labels.newest_annotation(plan.project_id)
            found, error = Examined(dict(findings.report), labels.count(plan.project_id), newest), str(problem)
        _keep(plan, findings, found, basis, error)
        return found if not error else None

    def _watch(self) -> None:
        be_humble()
        try:
            while not self._stopping.is_set():
                heard = bell.rings
                try:
                    self.look()
                except DatabaseError as error:
                    logger.warning('Findings about active learning could not be computed: %s', error)
                    connection.close()
                except Exception:
                    logger.exception('Findings about active learning could not be computed')
                self._scorer.close_if_idle()
                bell.wait(heard, POLL_SECONDS)
        finally:
            connection.close()


def ask(plan: SamplingPlan) -> None:
    """Have the findings of a plan computed now, by whichever process looks first."""
    SamplingFindings.objects.update_or_create(plan=plan, defaults={'asked_at': timezone.now()})
    transaction.on_commit(bell.ring)


def basis_of(plan: SamplingPlan, row: ProjectBackend, is_answering: bool) -> str:
    """Changes when other findings may come of the same labels."""
    facts = (plan.backend, plan.strategy, plan.params, plan.stop, plan.instead, plan.judged_from)
    return sha256(repr((versions_of(row), is_answering, *facts)).encode()).hexdigest()


def is_due(plan: SamplingPlan, findings: SamplingFindings, basis: str, is_answering: bool) -> bool:
    """Whether there is enough that is new.

    Args:
        is_answering: The version in service is being asked about tasks: what it has not answered is missing yet.
    """
    if findings.asked_at is not None:
        return True
    if findings.basis != basis and not is_answering:
        return True
    wanted = max(FEWEST_NEW, round(NEW_SHARE * findings.labels))
    return labels.newer(plan.project_id, findings.newest_annotation, wanted) >= wanted


def _findings_of(plan: SamplingPlan) -> SamplingFindings:
    try:
        return plan.findings
    except SamplingFindings.DoesNotExist:
        return SamplingFindings.objects.get_or_create(plan=plan)[0]


def _keep(plan: SamplingPlan, findings: SamplingFindings, found: Examined, basis: str, error: str) -> None:
    """Store the findings and do what follows from them."""
    before = _facts(plan)
    give_way_before_writing()
    with transaction.atomic():
        now = SamplingPlan.objects.select_for_update().get(pk=plan.pk)
        if _facts(now) != before:
            raise NotWantedError  # somebody chose another strategy meanwhile
        SamplingFindings.objects.filter(pk=plan.pk).update(
            report=found.report,
            error=error,
            labels=found.labels,
            newest_annotation=found.newest,
            basis=basis,
            computed_at=timezone.now(),
        )
        # Who asked after this began gets newer ones.
        SamplingFindings.objects.filter(pk=plan.pk, asked_at=findings.asked_at).update(asked_at=None)
        arms = found.report.get('arms') or {}
        if arms.get('worse') and not error and not now.instead:
            falling.fall_back(now, found.labels, arms['sentence'])
        elif falling.is_time(now, findings, found.labels):
            falling.use_again(now)


def _facts(plan: SamplingPlan) -> tuple:
    return plan.enabled, plan.backend, plan.strategy, plan.params, plan.instead, plan.judged_from


_watchers = PerProcess(Watcher)
