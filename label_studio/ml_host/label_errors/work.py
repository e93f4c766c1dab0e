"""Look for label errors, in a worker: labels that models contradict which did not learn from them.

The models are made anew here, each from other tasks; the version in service has learned the wrong labels as well.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import numpy as np
from django.utils import timezone

from label_studio.ml_host.analysis.features import features_of
from label_studio.ml_host.analysis.labels import GivenLabel, check_counts, given_labels
from label_studio.ml_host.analysis.lifecycle import check_enabled
from label_studio.ml_host.analysis.reporter import Reporter
from label_studio.ml_host.label_errors.result import Found, Suspect
from label_studio.ml_host.label_errors.services import FEWEST_LABELS, MOST_LABELS, WHAT, rule_of
from label_studio.ml_host.models import LabelErrorRun, LabelReview
from label_studio.ml_host.training.device import training_device
from ml_plugins.strategies import cross_validated, suspected_errors

# A model that sees fewer of a label contradicts all of them.
FEWEST_OF_A_CLASS = 5
# Suspected labels that are kept.
MOST_SUSPECTS = 500
_FOLDS = 5
_PAGE = 500


def work(run: LabelErrorRun, reporter: Reporter) -> dict[str, Any]:
    """Find the suspected labels; returns what the run's row keeps.

    Raises:
        AnalysisError: There is too little to go by.
        TrainingCancelledError: The run was cancelled, or the worker stops.
    """
    row = check_enabled(run.project, run.backend)
    read_at, annotations = timezone.now(), _count(run.project_id)
    given = _read(run, rule_of(row), reporter)
    counts = Counter(item.label for item in given)
    frequent = [item for item in given if counts[item.label] >= FEWEST_OF_A_CLASS]
    task_ids = np.array([item.task_id for item in frequent], dtype=np.int64)
    features = features_of(row, task_ids, reporter.progress, reporter.should_stop, training_device())
    reporter.flags.check()
    known = set(features.task_ids.tolist())
    used = [item for item in frequent if item.task_id in known]
    counts = Counter(item.label for item in used)
    check_counts(counts, run.options['control'], FEWEST_LABELS, WHAT)
    suspects = _suspects(used, features.rows, reporter)
    right = _right(run)
    open_ones = [item for item in suspects if (item.annotation_id, item.given) not in right]
    return Found(
        control=run.options['control'],
        features=features.words,
        version=features.version,
        tasks=len(used),
        left_out=len(given) - len(used),
        classes=len(counts),
        annotations=annotations,
        read_at=read_at.isoformat(),
        found=len(open_ones),
        dismissed=len(suspects) - len(open_ones),
        suspects=open_ones[:MOST_SUSPECTS],
    ).as_json()


def _read(run: LabelErrorRun, rule: str, reporter: Reporter) -> list[GivenLabel]:
    newest: deque[GivenLabel] = deque(maxlen=MOST_LABELS)
    for number, item in enumerate(given_labels(run.project, run.options['control'], rule)):
        if number % _PAGE == 0:
            reporter.progress(0, 0, f'{number:,} labels are read')
        newest.append(item)
    return list(newest)


def _suspects(used: list[GivenLabel], rows: np.ndarray, reporter: Reporter) -> list[Suspect]:
    answers = [item.label for item in used]
    labels = sorted(set(answers))
    folds = iter(range(1, _FOLDS + 1))

    def should_stop() -> bool:
        reporter.progress(
            next(folds), _FOLDS + 1, f'{len(used):,} labels are held against models that have not seen them'
        )
        return reporter.should_stop()

    probabilities = cross_validated(rows, answers, labels, folds=_FOLDS, should_stop=should_stop)
    reporter.flags.check()
    return [
        Suspect(
            used[item.row].task_id,
            used[item.row].annotation_id,
            used[item.row].user_id,
            item.given,
            item.suggested,
            round(item.confidence, 4),
            round(item.doubt, 4),
        )
        for item in suspected_errors(answers, probabilities, labels)
    ]


def _right(run: LabelErrorRun) -> set[tuple[int, str]]:
    """Labels of which somebody has said that they are right; another label of the same annotation is not among them."""
    said = LabelReview.objects.filter(
        project=run.project_id, control=run.options['control'], verdict=LabelReview.Verdict.RIGHT
    )
    return set(said.values_list('annotation_id', 'given'))


def _count(project_id: int) -> int:
    from label_studio.ml_host.upstream import Annotation

    return Annotation.objects.filter(project_id=project_id, was_cancelled=False).count()
