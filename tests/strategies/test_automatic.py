"""Automatic takes what is available."""

import numpy as np
import pytest

from ml_plugins.strategies import Labeled, Needs, Pool, strategy
from ml_plugins.testing import labeled_of, pool_of

FULL = pool_of(30)


@pytest.mark.parametrize(
    ('pool', 'labeled', 'expected'),
    [
        (FULL, labeled_of(0), 'typiclust'),
        (FULL, labeled_of(9), 'typiclust'),
        (FULL, labeled_of(10), 'cluster_margin'),
        (pool_of(30, classes=25), labeled_of(24), 'typiclust'),
        (pool_of(30, classes=25), labeled_of(25), 'cluster_margin'),
        (Pool(FULL.task_ids, FULL.probabilities, FULL.embeddings), labeled_of(40, classes=1), 'typiclust'),
        (Pool(FULL.task_ids, embeddings=FULL.embeddings), labeled_of(40), 'typiclust'),
        (Pool(FULL.task_ids, FULL.probabilities), labeled_of(40), 'power'),
        (Pool(FULL.task_ids, FULL.probabilities), labeled_of(0), 'power'),
        (Pool(FULL.task_ids, FULL.probabilities), labeled_of(40, classes=1), 'random'),
        (Pool(FULL.task_ids, sequences=FULL.sequences), labeled_of(0), 'mnlp'),
        (Pool(FULL.task_ids, None, FULL.embeddings, sequences=FULL.sequences), labeled_of(0), 'typiclust'),
        (Pool(FULL.task_ids, None, FULL.embeddings, sequences=FULL.sequences), labeled_of(40), 'mnlp'),
        (Pool(FULL.task_ids, regions=FULL.regions), labeled_of(0), 'region_uncertainty'),
        (Pool(FULL.task_ids, members=FULL.members), labeled_of(0), 'committee'),
        (Pool(FULL.task_ids, {'label': np.full((30, 4), np.nan)}, FULL.embeddings), labeled_of(40), 'typiclust'),
        (Pool(FULL.task_ids), labeled_of(0), 'random'),
    ],
)
def test_the_strategy_of_the_moment(pool, labeled, expected):
    automatic = strategy('automatic')
    plan = automatic.plan(pool, labeled)
    assert plan.strategy.name == expected
    assert automatic.explain(pool, labeled).startswith(f'{plan.strategy.title}: ')
    assert automatic.why_not(pool.available) == ''
    assert len(automatic.select(pool, labeled, 5, np.random.default_rng(0))) == 5
    assert np.isfinite(automatic.score(pool, labeled, np.random.default_rng(0))).all()


def test_power_asks_for_what_its_base_needs():
    assert strategy('power').why_not(Needs(probabilities=True)) == ''
    assert 'several models' in strategy('power', {'base': 'bald'}).why_not(Needs(probabilities=True))


def test_the_length_of_the_start_can_be_set():
    automatic = strategy('automatic', {'first_labels': 0})
    pool = Pool(FULL.task_ids, FULL.probabilities, FULL.embeddings)
    assert automatic.plan(pool, labeled_of(4)).strategy.name == 'cluster_margin'
    assert automatic.plan(pool, Labeled()).strategy.name == 'typiclust'
