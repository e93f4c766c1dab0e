"""Which tasks a version has answered, which version to choose by, and having the rest answered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic, time_ns

import numpy as np

from label_studio.ml_host.learning.refresh import OVERTAKEN
from label_studio.ml_host.models import PrelabelRun, ProjectBackend, version_label
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.selection import pack_sorted
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.sampling import homes
from label_studio.ml_host.sampling.available import needs_of
from label_studio.ml_host.sampling.homes import store_of
from label_studio.ml_host.serving import host
from label_studio.ml_host.versions.removal import version_before
from ml_plugins.strategies import Needs

logger = logging.getLogger(__name__)

# What a failed run was to ask is asked again after this long, then after twice as long, and so on.
AGAIN_SECONDS, LONGEST_AGAIN_SECONDS = 30.0, 3600.0
# While a version is still answering, the one before it is chosen by until this share is done.
ENOUGH = 0.5


@dataclass(frozen=True)
class Basis:
    """The version that tasks are chosen by.

    Attributes:
        label: Its name in predictions; empty when none has answered anything.
        known: Unlabeled tasks that it has answered.
    """

    label: str
    known: int


def labels_of(row: ProjectBackend) -> list[str]:
    """Versions whose answers are of use: the one in service, and the one before it."""
    if row.in_service is None:
        return [current_label(row)]
    before = version_before(row.in_service)
    return [current_label(row), version_label(row.backend, before.number if before is not None else None)]


def basis_of(row: ProjectBackend, task_ids: np.ndarray) -> Basis:
    """Which version's answers to choose by.

    Args:
        row: With its version in service.
        task_ids: Unlabeled tasks, ascending.
    """
    current, *before = labels_of(row)
    known = store_of(row.project_id, current).find(task_ids).known
    basis = Basis(current if known.any() else '', int(known.sum()))
    is_new = basis.known < ENOUGH * len(task_ids) and (not basis.known or is_answering(row, current))
    if before and is_new:
        there = int(store_of(row.project_id, before[0]).find(task_ids).known.sum())
        if there > basis.known:
            return Basis(before[0], there)
    return basis


def latest_run(row: ProjectBackend, label: str) -> tuple[int, str] | None:
    """Number and state of the latest run that asks a version."""
    started = PrelabelRun.objects.filter(project_id=row.project_id, backend=row.backend, label=label)
    return started.order_by('-id').values_list('id', 'state').first()


def is_answering(row: ProjectBackend, label: str) -> bool:
    """Whether a version is being asked about many tasks."""
    started = PrelabelRun.objects.filter(project_id=row.project_id, backend=row.backend, label=label)
    return started.exclude(state__in=PrelabelRun.ENDED).exists()


def gives(row: ProjectBackend) -> Needs:
    """What the answers of a backend's versions hold; the newest version that has answered anything says it."""
    for label in labels_of(row):
        found = store_of(row.project_id, label).find(np.empty(0, dtype=np.int64))
        if found.parts:
            return needs_of([*found.names('d:'), *found.names('o:')])
    return Needs()


def sweep() -> None:
    """Remove answers of versions that nobody chooses by any more, and of projects that are gone."""
    for project_id in homes.projects():
        rows = ProjectBackend.objects.filter(project_id=project_id).select_related('in_service')
        wanted = {label for row in rows for label in labels_of(row)}
        if wanted:
            homes.keep_only(project_id, wanted)
        else:
            homes.remove(project_id)


class Asker:
    """Has the version in service answer what it has not; asks once for each task and version in this process.

    What a failed run was to ask is asked again, after a pause that doubles with each failure.
    """

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}

    def wants_to_repeat(self, project_id: int) -> bool:
        """Whether it is time to ask again what a failed run did not."""
        asked = self._asked.get(project_id)
        return asked is not None and asked.run is not None and asked.has_failed() and asked.again_at <= monotonic()

    def ask(self, row: ProjectBackend, unlabeled: np.ndarray, labeled: np.ndarray) -> PrelabelRun | None:
        """Begin a run for what is missing.

        Args:
            unlabeled: Tasks to choose among, ascending.
            labeled: Tasks whose labels cover something; asked about where the model gives embeddings.
        """
        label = current_label(row)
        before = self._asked.get(row.project_id)
        if before is not None and before.label == label and before.has_failed():
            if before.again_at > monotonic():
                return None
            before = _Asked(label, failures=before.failures + 1)
        if before is None or not before.counts_for(label):
            before = _Asked(label)
        store = store_of(row.project_id, label)
        at = time_ns()
        # A task that the model fails at has been asked about, too: only newer ones are worth a run, and changed ones.
        changed = np.intersect1d(unlabeled, store.forgotten(before.at), assume_unique=True)
        wanted = np.union1d(unlabeled[unlabeled > before.unlabeled], changed)
        with_labeled = gives(row).embeddings
        if with_labeled:
            wanted = np.union1d(wanted, labeled[labeled > before.labeled])
        if not len(wanted) or is_answering(row, label):
            return None
        if host.needs_training(row) and not host.embeds_untrained(row):
            return None
        missing = wanted[~store.find(wanted).known]
        run = _begin(row, missing) if len(missing) else None
        last = max(before.unlabeled, int(wanted[-1]))
        self._asked[row.project_id] = _Asked(
            label,
            last,
            last if with_labeled else 0,
            run.pk if run else None,
            before.failures,
            at,
            monotonic() + min(AGAIN_SECONDS * 2**before.failures, LONGEST_AGAIN_SECONDS),
        )
        return run


@dataclass(frozen=True)
class _Asked:
    """What a version was asked.

    Attributes:
        unlabeled: Up to this number, about tasks that had no label then.
        labeled: Up to this one, about labeled tasks as well.
        run: The latest run that asks; None where nothing was missing.
        failures: Runs in a row that failed before this one.
        at: When it was asked; the clock that rows of answers are stamped by.
        again_at: When it is repeated, if it fails.
    """

    label: str
    unlabeled: int = 0
    labeled: int = 0
    run: int | None = None
    failures: int = 0
    at: int = 0
    again_at: float = 0.0

    def has_failed(self) -> bool:
        """Whether the run ended without having asked everything."""
        return PrelabelRun.objects.filter(pk=self.run, state=PrelabelRun.State.FAILED).exists()

    def counts_for(self, label: str) -> bool:
        """Whether a version need not be asked the same again."""
        if self.label != label:
            return False
        # A new version's own refresh, which is for other tasks, takes the place of all that had begun before it.
        overtaken = PrelabelRun.objects.filter(pk=self.run, state=PrelabelRun.State.CANCELLED, error=OVERTAKEN)
        return self.run is None or not overtaken.exists()


def _begin(row: ProjectBackend, missing: np.ndarray) -> PrelabelRun:
    span = (int(missing[0]), int(missing[-1]))
    options = {'refresh': True}
    run = runs.create_run(row, row.in_service, span, len(missing), pack_sorted(missing), options, None)
    logger.info('%s answers %d tasks for active learning', run.label, len(missing))
    return run
