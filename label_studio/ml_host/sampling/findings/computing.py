"""What the process without Django computes of whether active learning is worth it: curves, forecast and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from label_studio.ml_host.sampling.rows import EMBEDDING, PROBABILITIES
from label_studio.ml_host.sampling.selection import Selection
from label_studio.ml_host.sampling.store import AnswerStore
from ml_plugins.strategies import History, Round, Served, compare_arms, criterion, forecast_gain
from ml_plugins.strategies.gain import Measured

# Wider features are cut down to the directions in which they differ most: a fit takes a tenth of the time.
MOST_FEATURES = 64
# Unlabeled tasks whose uncertainty is averaged.
MOST_UNSURE = 20_000
LABELED, UNLABELED = 'labeled.npy', 'unlabeled.npy'
TASK = np.dtype([('task_id', 'i8'), ('labeled_at', 'i8'), ('explored', '?'), ('propensity', 'f8')])


@dataclass(frozen=True)
class Comparison:
    """What is compared; the tasks are in a file of the work folder.

    Attributes:
        store: Folder of the answers of a version.
        answers: What people say about each task.
        base: So many of the first ones are not judged.
        learned: Whether the version has learned from labels of the project, so that its probabilities for tasks that
            it answered after they were labeled show nothing.
    """

    store: str
    work: str
    answers: Sequence[str]
    base: int = 0
    learned: bool = True


@dataclass(frozen=True)
class Models:
    """What is known of a project's models, for forecast and advice.

    Attributes:
        rounds: `Round`s by the names of their attributes; ``predictions`` by task.
        work: Folder with the numbers of the unlabeled tasks.
    """

    rounds: Sequence[Mapping[str, Any]]
    labels: int
    fewest: int | None
    explored: int
    store: str = ''
    work: str = ''


@dataclass(frozen=True)
class _Features:
    rows: np.ndarray
    kind: str
    why_not: str = ''
    # Tasks whose answer came too late to count.
    late: int = 0
    known: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))


def compare(given: Mapping[str, Any]) -> dict[str, Any]:
    """Both learning curves, and what they were made of."""
    order = Comparison(**given)
    tasks = np.load(Path(order.work) / LABELED)
    found = _features(order, tasks)
    if found.why_not:
        return {'why_not': found.why_not, 'features': '', 'compared': 0}
    known = found.known
    served = Served(
        _narrow(found.rows[known]),
        np.asarray(order.answers)[known],
        tasks['explored'][known],
        tasks['propensity'][known],
        int(known[: order.base].sum()),
    )
    report = asdict(compare_arms(served))
    if not report['active'] and found.late:
        report['sentence'] += (
            f' The ML backend gives no embeddings, and its probabilities do not count for {found.late} tasks, which it '
            'answered after they were labeled.'
        )
    return {'why_not': '', 'features': found.kind, 'compared': int(known.sum()) - served.base, 'arms': report}


def forecast(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the next labels will bring."""
    rounds = Models(**given).rounds
    points = [
        Measured(item['labels'], item['score'], _error(item['score_low'], item['score_high']))
        for item in rounds
        if item['score'] is not None
    ]
    return asdict(forecast_gain(points))


def uncertainty(given: Mapping[str, Any]) -> dict[str, Any]:
    """Mean normalised entropy of the unlabeled tasks; None where the model gives no probabilities."""
    order = Models(**given)
    if not order.store:
        return {'uncertainty': None}
    task_ids = np.load(Path(order.work) / UNLABELED)
    found = AnswerStore(Path(order.store)).find(task_ids)
    found = found.only(found.known)
    values = [_entropy(rows) for rows in _probabilities(found, Path(order.work))]
    means = [float(rows.mean()) for rows in values if len(rows)]
    return {'uncertainty': float(np.mean(means)) if means else None}


def advise(given: Mapping[str, Any]) -> dict[str, Any]:
    """What one stopping criterion says."""
    name, params = given['name'], given['params']
    models = Models(**given['models'])
    history = History([_round(item) for item in models.rounds], models.labels, models.fewest, models.explored)
    advice = criterion(name, params).look(history)
    value = None if advice.value is None or not np.isfinite(advice.value) else float(advice.value)
    return {'stop': bool(advice.stop), 'sentence': str(advice.sentence), 'value': value}


def _features(order: Comparison, tasks: np.ndarray) -> _Features:
    """A row of numbers for each task: embeddings where there are any, else probabilities."""
    none = np.empty((len(tasks), 0))
    if not order.store or not len(tasks):
        return _Features(none, '', 'Nothing can be compared yet: the ML backend has not answered any labeled task.')
    task_ids, places = np.unique(tasks['task_id'], return_inverse=True)
    found = AnswerStore(Path(order.store)).find(task_ids)
    names = found.names('d:') if found.parts else []
    work = Path(order.work)
    if EMBEDDING in names:
        rows = found.read(EMBEDDING, work)[places].astype(np.float32)
        return _Features(rows, 'embeddings', known=found.known[places] & np.isfinite(rows).all(axis=1))
    parts = _probabilities(found, work)
    if not parts:
        why = 'the ML backend gives neither embeddings nor class probabilities'
        return _Features(none, '', f'It cannot be told whether active learning is worth it here: {why}.')
    rows = np.concatenate(parts, axis=1)[places]
    known = found.known[places] & np.isfinite(rows).all(axis=1)
    late = known & (found.stamps()[places] >= tasks['labeled_at']) if order.learned else np.zeros(len(tasks), bool)
    return _Features(rows, 'probabilities', late=int(late.sum()), known=known & ~late)


def _probabilities(found: Selection, work: Path) -> list[np.ndarray]:
    names = [name for name in (found.names('d:') if found.parts else []) if name.startswith(PROBABILITIES)]
    return [found.read(name, work).astype(np.float32) for name in names]


def _narrow(rows: np.ndarray) -> np.ndarray:
    if rows.shape[1] <= MOST_FEATURES or not len(rows):
        return rows
    middle = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(middle.T @ middle)
    return middle @ directions[:, -MOST_FEATURES:]


def _entropy(rows: np.ndarray) -> np.ndarray:
    rows = np.clip(rows[np.isfinite(rows).all(axis=1)].astype(np.float64), 1e-12, 1.0)
    if not len(rows) or rows.shape[1] < 2:
        return np.empty(0)
    rows = rows / rows.sum(axis=1, keepdims=True)
    return -(rows * np.log(rows)).sum(axis=1) / np.log(rows.shape[1])


def _round(item: Mapping[str, Any]) -> Round:
    answers = item['predictions']
    if answers is None:
        return Round(**item)
    ids = np.array(sorted(map(int, answers)), dtype=np.int64)
    said = np.array([answers[str(number)] for number in ids])
    return Round(**{**item, 'task_ids': ids, 'predictions': said})


def _error(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else (high - low) / 3.92
