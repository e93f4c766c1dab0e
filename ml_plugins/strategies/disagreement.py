"""Strategies that ask where several models, or several passes with dropout, contradict one another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml_plugins.exceptions import StrategyError
from ml_plugins.params import Param
from ml_plugins.strategies.measures import binary_rows, is_multi_label, normalised, raw_entropy, usable_rows
from ml_plugins.strategies.pool import Labeled, Needs, Pool
from ml_plugins.strategies.rows import chunks, unknown_last
from ml_plugins.strategies.uncertainty import ScoringStrategy


class Bald(ScoringStrategy):
    """What the label would tell about the model: entropy of the mean minus mean of the entropies."""

    name = 'bald'
    title = 'BALD'
    help = 'Tasks where each dropout pass or model is sure, but of something else.'
    needs = Needs(members=True)

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Mutual information in nats, averaged over the controls."""
        return over_members(pool, mutual_information)


class Committee(ScoringStrategy):
    """How far the members of a committee are apart: by their votes, or by their probabilities."""

    name = 'committee'
    title = 'Committee'
    help = 'Tasks that several models label differently; free where several ML backends are attached.'
    needs = Needs(members=True)
    params = (
        Param(
            'rule', 'votes', 'Count votes, or compare probabilities with their mean.', choices=('votes', 'consensus')
        ),
        *ScoringStrategy.params,
    )

    def score(self, pool: Pool, labeled: Labeled, rng: np.random.Generator) -> np.ndarray:
        """Entropy of the votes, or mean divergence from the consensus, in nats."""
        return over_members(pool, vote_entropy if self.param_values['rule'] == 'votes' else mutual_information)


def mutual_information(members: np.ndarray) -> np.ndarray:
    """Of rows (members, n, classes): entropy of the mean minus mean entropy, which is the mean KL to the mean."""
    return np.maximum(raw_entropy(members.mean(axis=0)) - raw_entropy(members).mean(axis=0), 0.0)


def vote_entropy(members: np.ndarray) -> np.ndarray:
    """Entropy of the members' first choices; a member's doubt breaks ties a little."""
    votes = np.zeros(members.shape[1:])
    for rows in members:
        votes[np.arange(len(rows)), rows.argmax(axis=1)] += 1.0
    return raw_entropy(votes / len(members)) + 1e-3 * mutual_information(members)


def over_members(pool: Pool, compare: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Compare the members' rows of each control and take the mean over the controls; shape (n,).

    Raises:
        StrategyError: There are fewer than two members, or they answer different controls.
    """
    members = list(pool.members or ())
    if len(members) < 2:
        raise StrategyError(f'{len(members)} member cannot disagree; give two models or dropout passes or more')
    controls = [name for name in members[0] if all(name in member for member in members)]
    if not controls:
        raise StrategyError('the members have no control in common')
    total, known = np.zeros(len(pool)), np.ones(len(pool), dtype=bool)
    for name in controls:
        rows = [np.asarray(member[name]) for member in members]
        if len({part.shape for part in rows}) > 1:
            raise StrategyError(f'the members give different numbers of classes for "{name}"')
        independent = is_multi_label(name, rows[0], pool)
        for part in chunks(len(pool), max(64, 1_000_000 // (len(rows) * rows[0].shape[1]))):
            values = np.stack([np.asarray(item[part], dtype=np.float64) for item in rows])
            if independent:
                known[part] &= np.isfinite(values).all(axis=(0, 2))
                clean = binary_rows(np.clip(np.nan_to_num(values), 0.0, 1.0)).reshape(len(rows), -1, 2)
                total[part] += compare(clean).reshape(values.shape[1:]).mean(axis=1)
            else:
                known[part] &= np.stack([usable_rows(item) for item in values]).all(axis=0)
                total[part] += compare(np.stack([normalised(item) for item in values]))
    return unknown_last(total / len(controls), known, 'the answers of the members')
