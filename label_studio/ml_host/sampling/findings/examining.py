"""Work out whether a plan is worth it: gather what the database says, and have it computed in the other process."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from label_studio.ml_host.models import ModelVersion, ProjectBackend, SamplingPlan
from label_studio.ml_host.sampling import coverage, homes, tasks
from label_studio.ml_host.sampling.findings import labels, rounds
from label_studio.ml_host.sampling.findings.computing import (
    LABELED,
    MOST_UNSURE,
    TASK,
    UNLABELED,
    Comparison,
    Models,
)
from label_studio.ml_host.sampling.findings.labels import Labels
from label_studio.ml_host.sampling.findings.rounds import Model
from label_studio.ml_host.sampling.findings.state import NOTHING_YET
from label_studio.ml_host.sampling.scorer import Scorer
from label_studio.ml_host.sampling.settings import SamplingSettings
from ml_plugins.exceptions import StrategyError
from ml_plugins.failures import Stage, record_failure

logger = logging.getLogger(__name__)

# A criterion looks at a few numbers; one that takes longer hangs.
CRITERION_SECONDS = 30.0
# A strategy that serves at random cannot be worse than that.
IS_RANDOM = 'Tasks are served at random: that is what every other strategy is held against.'
NO_CLASSES = 'It cannot be told whether active learning is worth it here: the labels of this project are no classes.'
_ROOM = 'findings.computing'


@dataclass(frozen=True)
class Examined:
    """What came of it.

    Attributes:
        report: As `SamplingFindings` keeps it.
        labels: Labeled tasks.
        newest: Highest annotation number that was looked at.
    """

    report: dict[str, Any]
    labels: int
    newest: int


class Examiner:
    """Works it out for one plan.

    Args:
        scorer: The process that computes.
        is_wanted: Asked now and then.
    """

    def __init__(self, plan: SamplingPlan, row: ProjectBackend, scorer: Scorer, is_wanted: Callable[[], bool]) -> None:
        self.plan, self.row, self.scorer, self.is_wanted = plan, row, scorer, is_wanted

    def examine(self, before: Mapping[str, Any]) -> Examined:
        """Everything, with the comparison of before where there is nothing new to compare.

        Args:
            before: The report of the last time.

        Raises:
            StrategyError: It could not be computed; the message says why.
            NotWantedError: The plan was switched off, or another process has taken over.
        """
        newest = labels.newest_annotation(self.plan.project_id)
        found = labels.labels_of(self.plan)
        total = labels.count(self.plan.project_id)
        work = Path(tempfile.mkdtemp(prefix='findings-', dir=_work_folder()))
        try:
            compared = self._compared(found, before, work)
            models = self._models(found, total, work)
            gain = self._ask('forecast', asdict(models))
            advice, failed = self._advice(models)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        report = {**compared, 'gain': gain, 'advice': advice, 'failed': failed}
        return Examined(_storable(report), total, newest)

    def _compared(self, found: Labels, before: Mapping[str, Any], work: Path) -> dict[str, Any]:
        numbers = {'judged': found.judged, 'explored': found.explored, 'control': found.control}
        if self.plan.instead:
            # While another strategy serves, nothing new can be said of the plan's own.
            kept = ('arms', 'why_not', 'features', 'compared', *numbers)
            return {name: before[name] for name in kept if name in before}
        if reason := self._why_not(found):
            return {**numbers, 'why_not': reason, 'features': '', 'compared': 0}
        rows = np.zeros(len(found.tasks), dtype=TASK)
        for place, item in enumerate(found.tasks):
            stamp = int(item.labeled_at.timestamp() * 1e9)
            rows[place] = (item.task_id, stamp, item.explored, item.propensity)
        np.save(work / LABELED, rows)
        store = self._store(rows['task_id'])
        answers = [item.answer for item in found.tasks]
        order = Comparison(store, str(work), answers, found.before, self._has_learned())
        return {**numbers, **self._ask('compare', asdict(order))}

    def _why_not(self, found: Labels) -> str:
        from ml_plugins.strategies import strategy

        if strategy(self.plan.strategy, self.plan.params).uniform:
            return IS_RANDOM
        if not found.judged:
            return NOTHING_YET
        if not found.control:
            return NO_CLASSES
        return ''

    def _models(self, found: Labels, total: int, work: Path) -> Models:
        known = rounds.models_of(self.row)
        pool = tasks.unlabeled(self.plan.project_id)
        if len(pool) > MOST_UNSURE:
            pool = np.sort(np.random.default_rng(self.plan.seed).choice(pool, MOST_UNSURE, replace=False))
        np.save(work / UNLABELED, pool)
        store = homes.store_of(self.row.project_id, coverage.labels_of(self.row)[0])
        models = Models(_rounds(known), total, found.fewest, found.explored, str(store.folder), str(work))
        unsure = self._ask('uncertainty', asdict(models))['uncertainty']
        return Models(_rounds(known, unsure), total, found.fewest, found.explored)

    def _advice(self, models: Models) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """What each criterion says; one that fails is recorded and left out."""
        from ml_plugins.strategies import criterion_classes
        from ml_plugins.strategies.registry import criteria_room

        chosen, advice, failed = SamplingSettings.of(self.plan).stop, [], []
        for name, kind in criterion_classes().items():
            given = {'name': name, 'params': chosen.get(name, {}), 'models': asdict(models)}
            try:
                said = self._ask('advise', given, CRITERION_SECONDS, f'stopping criterion "{name}"')
            except StrategyError as error:
                record_failure(criteria_room.failure_name(name), Stage.CHECK, error, self.plan.project_id)
                failed.append({'name': name, 'error': str(error)})
                continue
            advice.append({'name': name, 'title': kind.title, 'active': name in chosen, **said})
        # One that is gone with its package says nothing, and that should not go unseen.
        gone = sorted(set(chosen) - {item['name'] for item in (*advice, *failed)})
        failed += [{'name': name, 'error': 'there is no such stopping criterion any more'} for name in gone]
        return advice, failed

    def _ask(self, what: str, given: Mapping[str, Any], seconds: float = 0.0, who: str = '') -> dict[str, Any]:
        seconds = min(seconds or settings.ML_SAMPLING_TIMEOUT, settings.ML_SAMPLING_TIMEOUT)
        too_late = f'{who or "the comparison with random"} took more than {seconds:g} s'
        return self.scorer.ask(f'{_ROOM}:{what}', given, seconds, too_late, self.is_wanted)

    def _store(self, task_ids: np.ndarray) -> str:
        """The version in service, or the one before it where that has answered more of the labeled tasks."""
        wanted = np.unique(task_ids)
        stores = [homes.store_of(self.row.project_id, label) for label in coverage.labels_of(self.row)]
        counted = [(int(store.find(wanted).known.sum()), store) for store in stores]
        known, best = max(counted, key=lambda pair: pair[0])
        return str(best.folder) if known else ''

    def _has_learned(self) -> bool:
        version = self.row.in_service
        return version is not None and version.trigger != 'uploaded'


def versions_of(row: ProjectBackend) -> tuple[int, int]:
    """The newest version and the one in service: with others, other findings."""
    own = ModelVersion.objects.filter(project=row.project_id, backend=row.backend)
    return own.order_by('-number').values_list('number', flat=True).first() or 0, row.in_service_id or 0


def _rounds(models: Sequence[Model], unsure: float | None = None) -> list[dict[str, Any]]:
    found = [
        {
            'labels': item.labels,
            'score': item.score,
            'score_low': item.low,
            'score_high': item.high,
            'predictions': item.answers,
            'uncertainty': None,
        }
        for item in models
    ]
    if found:
        found[-1]['uncertainty'] = unsure
    elif unsure is not None:
        # A model that needs no training is one that learned from nothing.
        found = [
            {**dict.fromkeys(('score', 'score_low', 'score_high', 'predictions')), 'labels': 0, 'uncertainty': unsure}
        ]
    return found


def _storable(value: Any) -> Any:
    """What every database can keep: no numbers that are none, and no characters that are none."""
    from ml_plugins.plain import storable_text

    if isinstance(value, Mapping):
        return {str(name): _storable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return storable_text(value) if isinstance(value, str) else value


def _work_folder() -> str:
    folder = Path(settings.ML_WORK_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
