"""Compute scores and the next batch from files: what the scoring process does, without Django or a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from label_studio.ml_host.sampling.rows import EMBEDDING, MEMBERS, PROBABILITIES, REGIONS, TOKENS
from label_studio.ml_host.sampling.selection import Selection
from label_studio.ml_host.sampling.steps import choose_in_steps
from label_studio.ml_host.sampling.store import AnswerStore
from label_studio.ml_host.sampling.whole_pool import OnWholePool
from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import Labeled, Needs, Picked, Pool, QueryStrategy, strategy
from ml_plugins.strategies.exploring import checked_scores


@dataclass(frozen=True)
class Order:
    """What is to be computed.

    Attributes:
        store: Folder of the version's answers; empty when there are none.
        work: Folder for what is asked and answered; removed by who asks.
        strategy: Name.
        params: Its parameters.
        seed: Of everything random here; the same order and files give the same batch.
        size: Tasks of the batch.
        first: Of them that will be labeled when another version comes; 0 when none is expected.
        share: Of them that are drawn at random.
        multi_label: Controls whose labels do not exclude one another.
        answers: Labels of the labeled tasks, by control.
    """

    store: str
    work: str
    strategy: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: Sequence[int] = (0, 0)
    size: int = 0
    first: int = 0
    share: float = 0.0
    multi_label: Sequence[str] = ()
    answers: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the other process."""
        return asdict(self)


@dataclass(frozen=True)
class Computed:
    """What came of it, without the numbers: they are in the order's folder.

    Attributes:
        known: Tasks that the model had answered.
        total: Unlabeled tasks.
        explanation: How the batch came about.
        needs: What the model gives, names of `Needs` flags.
    """

    known: int
    total: int
    explanation: str
    needs: Sequence[str] = ()


# Files of an order's folder.
POOL, LABELED = 'pool.npy', 'labeled.npy'
SCORED, SCORES, PICKS = 'scored.npy', 'scores.npy', 'picks.npy'
PICK = np.dtype(
    [('task_id', 'i8'), ('score', 'f8'), ('rank', 'i8'), ('propensity', 'f8'), ('explored', '?'), ('known', '?')]
)


def choose_next(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `compute` says, as it goes from process to process."""
    return asdict(compute(Order(**given)))


def compute(order: Order) -> Computed:
    """Score the pool, choose a batch, and leave both in the order's folder.

    Raises:
        StrategyError: The strategy cannot work with what there is, or returned something else than it has to; what it
            raises itself comes as it is.
    """
    work = Path(order.work)
    task_ids = np.load(work / POOL)
    chosen = strategy(order.strategy, order.params)
    selection = _selection(order, task_ids)
    known = pool_of(selection.only(selection.known), work, order.multi_label)
    labeled = _labeled(order, work)
    rng = np.random.default_rng(list(order.seed))
    if not len(task_ids):
        scores, picked, explanation = np.empty(0), None, 'Every task has a label.'
    elif not len(known):
        scores, picked, explanation = _blind(chosen, task_ids, labeled, order, rng)
    else:
        scores = checked_scores(chosen, known, labeled, rng)
        picked = _batch(chosen, known, task_ids, scores, labeled, order, rng)
        explanation = chosen.explain(known, labeled)
    np.save(work / SCORED, known.task_ids if len(scores) else np.empty(0, dtype=np.int64))
    np.save(work / SCORES, scores)
    np.save(work / PICKS, picked if picked is not None else np.empty(0, dtype=PICK))
    return Computed(len(known), len(task_ids), explanation, names_of(known.available))


def pool_of(selection: Selection, work: Path, multi_label: Sequence[str] = ()) -> Pool:
    """What the model said about some tasks, as strategies take it."""
    names = selection.names('d:') if len(selection.task_ids) else []
    probabilities = {
        name.removeprefix(PROBABILITIES): selection.read(name, work) for name in names if name.startswith(PROBABILITIES)
    }
    return Pool(
        selection.task_ids,
        probabilities or None,
        selection.read(EMBEDDING, work) if EMBEDDING in names else None,
        members=_members(selection, names, work),
        sequences=_ragged(selection, TOKENS),
        regions=_ragged(selection, REGIONS),
        multi_label=tuple(name for name in multi_label if name in probabilities),
    )


def names_of(needs: Needs) -> list[str]:
    """The flags that are set."""
    return [name for name, there in asdict(needs).items() if there]


def _selection(order: Order, task_ids: np.ndarray) -> Selection:
    if not order.store:
        return Selection((), task_ids, np.full(len(task_ids), -1, dtype=np.int16), np.zeros(len(task_ids), np.int64))
    store = AnswerStore(Path(order.store))
    store.merge()
    return store.find(task_ids)


def _members(selection: Selection, names: Sequence[str], work: Path) -> list[dict[str, np.ndarray]] | None:
    found: dict[int, dict[str, np.ndarray]] = {}
    for name in names:
        if name.startswith(MEMBERS):
            number, _, control = name.removeprefix(MEMBERS).partition(':')
            found.setdefault(int(number), {})[control] = selection.read(name, work)
    return [found[number] for number in sorted(found)] or None


def _ragged(selection: Selection, name: str) -> list[np.ndarray] | None:
    if not len(selection.task_ids) or name not in selection.names('o:'):
        return None
    offsets, values = selection.ragged(name)
    return np.split(values, offsets[1:-1])


def _labeled(order: Order, work: Path) -> Labeled:
    task_ids = np.load(work / LABELED)
    found = _selection(order, task_ids)
    embeddings = None
    if len(task_ids) and EMBEDDING in found.names('d:'):
        # A label whose task the model did not look at covers nothing: its row is NaN.
        embeddings = found.read(EMBEDDING, work)
    return Labeled(task_ids, order.answers, embeddings)


def _blind(
    chosen: QueryStrategy, task_ids: np.ndarray, labeled: Labeled, order: Order, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, str]:
    """Nothing is known about any task."""
    pool = Pool(task_ids)
    if reason := chosen.why_not(pool.available):
        raise StrategyError(f'strategy "{chosen.name}" has no answers of the model to go by yet. {reason}')
    picked = choose_in_steps(chosen, pool, labeled, order.first, order.size, rng, order.share)
    return np.empty(0), _picks(task_ids, picked), chosen.explain(pool, labeled)


def _batch(
    chosen: QueryStrategy,
    known: Pool,
    task_ids: np.ndarray,
    scores: np.ndarray,
    labeled: Labeled,
    order: Order,
    rng: np.random.Generator,
) -> np.ndarray:
    rows = np.searchsorted(task_ids, known.task_ids)
    asked = OnWholePool(chosen, known, rows)
    spread = asked.spread(scores, len(task_ids))
    whole = Pool(task_ids)
    picked = choose_in_steps(asked, whole, labeled, order.first, order.size, rng, order.share, spread, known)
    picks = _picks(task_ids, picked)
    at = np.minimum(np.searchsorted(rows, picked.indices), len(rows) - 1)
    picks['known'] = rows[at] == picked.indices
    picks['score'] = np.where(picks['known'], scores[at], np.nan)
    picks['rank'] = ranks_among(picks['score'], scores)
    return picks


def ranks_among(some: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The place of some scores among all of them, 1 for the highest; equal ones share the best place."""
    return len(scores) - np.searchsorted(np.sort(scores), some, side='right') + 1


def _picks(task_ids: np.ndarray, picked: Picked) -> np.ndarray:
    found = np.zeros(len(picked), dtype=PICK)
    found['task_id'] = task_ids[picked.indices]
    found['score'] = np.nan
    found['propensity'] = picked.propensities
    found['explored'] = picked.explored
    return found
