"""What the version in service says about labeled tasks, as features: kept answers, and what it is asked for."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from label_studio.ml_host.analysis.errors import AnalysisError
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.sampling import feeding
from label_studio.ml_host.sampling.homes import store_of
from label_studio.ml_host.sampling.rows import EMBEDDING, PROBABILITIES
from label_studio.ml_host.sampling.selection import Selection
from ml_plugins.types import Task

logger = logging.getLogger(__name__)

# What a model said is kept after so many tasks.
PAGE = 200

# Called with tasks done, tasks in all, and a sentence.
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Features:
    """Features of tasks.

    Attributes:
        task_ids: Tasks that there are features of, ascending.
        rows: Shape (n, d), finite.
        are_embeddings: Else they are class probabilities.
        label: Name of the version in predictions.
        version: Its number; None before the first.
        missing: Tasks that it says nothing usable about.
    """

    task_ids: np.ndarray
    rows: np.ndarray
    are_embeddings: bool
    label: str
    version: int | None
    missing: int

    @property
    def words(self) -> str:
        """What they are, for people."""
        whose = f'version {self.version}' if self.version is not None else 'the model before its first training'
        return f'{"embeddings" if self.are_embeddings else "class probabilities"} of {whose}'


def check_version(row: ProjectBackend) -> None:
    """Refuse a backend that can say nothing yet. Raises `AnalysisError`."""
    from label_studio.ml_host.serving import host

    if host.needs_training(row):
        raise AnalysisError(f'ML backend "{row.backend}" has no version yet. Train it first.')
    found = store_of(row.project_id, current_label(row)).find(np.empty(0, dtype=np.int64))
    if found.parts and _column(found) is None:
        raise _nothing_to_go_by(row)


def features_of(
    row: ProjectBackend, task_ids: np.ndarray, told: Told, should_stop: Callable[[], bool], device: str
) -> Features:
    """Features of tasks by the version in service; it is asked about those that it has not answered.

    Args:
        row: With its version in service.
        task_ids: Ascending, each once.

    Raises:
        AnalysisError: The version gives neither embeddings nor probabilities.
        UnusableVersionError: It cannot be loaded, or cannot predict.
        TrainingCancelledError: The run has to stop.
    """
    label = current_label(row)
    store = store_of(row.project_id, label)
    # What this process heard a moment ago counts as well.
    feeding.flush()
    missing = task_ids[~store.find(task_ids).known]
    if len(missing):
        _ask(row, label, missing, told, should_stop, device)
    found = store.find(task_ids)
    column = _column(found)
    if column is None:
        raise _nothing_to_go_by(row)
    Path(settings.ML_WORK_DIR).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='features-', dir=settings.ML_WORK_DIR) as work:
        rows = np.array(_joined(found, column, Path(work)), dtype=np.float32)
    usable = np.isfinite(rows).all(axis=1)
    version = row.in_service.number if row.in_service else None
    return Features(task_ids[usable], rows[usable], column == [EMBEDDING], label, version, int((~usable).sum()))


def _column(found: Selection) -> list[str] | None:
    """The columns that serve as features."""
    names = found.names('d:')
    if EMBEDDING in names:
        return [EMBEDDING]
    return [name for name in names if name.startswith(PROBABILITIES)] or None


def _joined(found: Selection, columns: list[str], work: Path) -> np.ndarray:
    return np.concatenate([found.read(name, work) for name in columns], axis=1)


def _ask(
    row: ProjectBackend, label: str, missing: np.ndarray, told: Told, should_stop: Callable[[], bool], device: str
) -> None:
    """Load the version and keep what it says about tasks; the answers serve active learning, too."""
    from label_studio.ml_host.quality.predicting import Said, ask, model_of
    from label_studio.ml_host.versions.files import version_files

    version = row.in_service
    files = partial(version_files, version) if version else None
    spec = model_of(row.project, row.backend, row.params, files, device)
    said = Said()

    def keep(fewest: int) -> None:
        new = [(task_id, item) for task_id, item in said.predictions.items() if item is not None]
        if len(new) >= fewest:
            feeding.keep(row.project_id, label, new)
            # Kept on disk, they need no memory.
            said.predictions.update(dict.fromkeys(dict(new)))

    def between() -> bool:
        keep(PAGE)
        done = len(said.predictions) + len(said.errors) + len(said.unreadable)
        told(done, len(missing), f'{label} answers {len(missing)} tasks that it has not seen')
        return should_stop()

    ask(spec, _tasks(row.project, missing), between, said)
    keep(1)


def _tasks(project: Any, task_ids: np.ndarray) -> list[Task]:
    from label_studio.ml_host.task_data.resolver import HostTaskFiles, plugin_task
    from label_studio.ml_host.upstream import Task as StoredTask

    files, found = HostTaskFiles(project), []
    for start in range(0, len(task_ids), PAGE):
        page = StoredTask.objects.filter(project=project, pk__in=task_ids[start : start + PAGE].tolist())
        found += [plugin_task(task, files) for task in page.order_by('pk')]
    return found


def _nothing_to_go_by(row: ProjectBackend) -> AnalysisError:
    return AnalysisError(
        f'ML backend "{row.backend}" gives neither embeddings nor class probabilities, so there is nothing to compare '
        'tasks by.'
    )
