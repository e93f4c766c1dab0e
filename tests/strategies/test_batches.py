"""Batches: different tasks, in an order, however large the pool."""

import time
import tracemalloc

import numpy as np
import pytest

from ml_plugins.strategies import Labeled, Pool, choose, strategy
from ml_plugins.strategies.batches import best, diverse, power
from ml_plugins.strategies.exploring import checked_scores

RNG = np.random.default_rng(0)
# Eight groups of look-alikes, the first ones with the highest scores.
GROUPS = np.repeat(np.arange(8), 25)


class Fixed:
    """A generator that always draws the middle."""

    def random(self):
        return 0.5


def look_alikes():
    rng = np.random.default_rng(0)
    rows = (10 * np.eye(8, dtype=np.float32))[GROUPS] + rng.normal(scale=0.1, size=(200, 8)).astype(np.float32)
    first = 0.5 + 0.002 * GROUPS
    return Pool(np.arange(200), {'label': np.stack([first, 1 - first], axis=1)}, rows)


def groups_of(rows):
    return set(GROUPS[rows].tolist())


def test_best_come_first_and_ties_by_chance():
    assert best(np.array([1.0, 3.0, 2.0]), 2, np.random.default_rng(0)).tolist() == [1, 2]
    first = {int(best(np.zeros(5), 1, np.random.default_rng(seed))[0]) for seed in range(60)}
    assert first == set(range(5))


@pytest.mark.parametrize(
    ('name', 'values'),
    [('cluster_margin', {'candidates': 25}), ('badge', {}), ('core_set', {}), ('typiclust', {}), ('automatic', {})],
)
def test_a_batch_holds_no_look_alikes(name, values):
    batch = strategy(name, values).select(look_alikes(), Labeled(), 8, np.random.default_rng(0))
    assert len(groups_of(batch)) >= 7


def test_the_best_scores_alone_are_look_alikes():
    assert len(groups_of(strategy('margin').select(look_alikes(), Labeled(), 8, np.random.default_rng(0)))) == 1


def test_any_score_can_be_made_a_diverse_batch():
    pool = look_alikes()
    rows = strategy('margin', {'batch': 'diverse'}).select(pool, Labeled(), 8, np.random.default_rng(0))
    assert len(groups_of(rows)) >= 2
    rows = diverse(pool.embeddings, np.zeros(200), 8, np.random.default_rng(0), candidates=25)
    assert len(groups_of(rows)) == 8


def test_what_is_labeled_is_not_served_again_in_other_words():
    pool = look_alikes()
    labeled = Labeled(np.arange(4), {'label': ['a', 'b', 'a', 'b']}, 10 * np.eye(8, dtype=np.float32)[:4])
    for name in ('core_set', 'typiclust'):
        assert groups_of(strategy(name).select(pool, labeled, 4, np.random.default_rng(0))) == {4, 5, 6, 7}


def test_given_clusters_take_turns():
    pool = look_alikes()
    pool = Pool(pool.task_ids, pool.probabilities, pool.embeddings, clusters=GROUPS)
    way = strategy('cluster_margin', {'given_clusters': True, 'candidates': 25})
    assert sorted(GROUPS[way.select(pool, Labeled(), 8, np.random.default_rng(0))]) == list(range(8))


def test_power_draws_by_weight():
    scores = np.array([6.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    drawn = [int(power(scores, 1, np.random.default_rng(seed))[0]) for seed in range(2000)]
    assert np.bincount(drawn, minlength=6) / 2000 == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1, 0.0], abs=0.04)
    drawn = [int(power(np.array([-1.0, -1.0]), 1, np.random.default_rng(seed))[0]) for seed in range(400)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.1)
    assert sorted(power(scores, 9, np.random.default_rng(0)).tolist()) == [0, 1, 2, 3, 4, 5]


def test_typiclust_takes_the_middle_of_a_cluster():
    spread = np.linspace(-1.0, 1.0, 41, dtype=np.float32)
    rows = np.stack([np.repeat([0.0, 50.0], 41), np.tile(spread, 2)], axis=1).astype(np.float32)
    batch = strategy('typiclust', {'neighbours': 8}).select(Pool(np.arange(82), embeddings=rows), Labeled(), 2, RNG)
    assert sorted(rows[batch, 0].tolist()) == [0.0, 50.0]
    # At the edge of a cluster the nearest are farther away than in its middle.
    assert (np.abs(rows[batch, 1]) < 0.85).all()


def test_core_set_takes_the_middle_and_then_what_is_farthest():
    # The mean is near 1, so 0 is the middle; from 0, the 5 is farther away than the -4.5.
    rows = np.array([[-4.5], [0.0], [5.0], [2.2], [2.2]], dtype=np.float32)
    batch = strategy('core_set').select(Pool(np.arange(5), embeddings=rows), Labeled(), 5, RNG)
    assert batch[:3].tolist() == [1, 2, 0]
    labeled = Labeled(np.array([7]), {'label': ['a']}, np.array([[5.0]], dtype=np.float32))
    assert strategy('core_set').select(Pool(np.arange(5), embeddings=rows), labeled, 2, RNG).tolist() == [0, 1]


def test_badge_draws_as_if_it_had_built_the_gradients():
    rng = np.random.default_rng(3)
    rows, embeddings = rng.dirichlet(np.ones(3), 60), rng.normal(size=(60, 2)).astype(np.float32)
    errors = rows - np.eye(3)[rows.argmax(axis=1)]
    gradients = np.einsum('ic,id->icd', errors, np.column_stack([embeddings, np.ones(60)])).reshape(60, -1)
    picked = strategy('badge').select(Pool(np.arange(60), {'label': rows}, embeddings), Labeled(), 12, Fixed())
    expected = [int((gradients**2).sum(axis=1).argmax())]
    while len(expected) < 12:
        distances = ((gradients[:, None] - gradients[expected]) ** 2).sum(axis=2).min(axis=1)
        expected.append(int(np.searchsorted(np.cumsum(distances), 0.5 * distances.sum(), side='right')))
    assert picked.tolist() == expected


def test_duplicates_fill_a_batch_last():
    rows = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    pool = Pool(np.arange(30), {'label': np.full((30, 2), 0.5)}, rows)
    for name in ('cluster_margin', 'badge', 'core_set', 'typiclust'):
        batch = strategy(name).select(pool, Labeled(), 6, np.random.default_rng(0))
        assert len(set(batch.tolist())) == 6
        assert set((batch[:3] // 10).tolist()) == {0, 1, 2}, name


def test_a_scored_pool_is_not_scored_again():
    pool = look_alikes()
    scores = np.zeros(200)
    scores[150:155] = 1.0
    for name in ('margin', 'entropy', 'power', 'cluster_margin'):
        batch = strategy(name).select(pool, Labeled(), 5, np.random.default_rng(0), scores)
        assert set(batch.tolist()) <= set(range(150, 155)) or name == 'cluster_margin'
        assert set(batch.tolist()) & set(range(150, 155))


@pytest.fixture(scope='module')
def large(tmp_path_factory):
    """100,000 tasks with embeddings of 128 numbers in a memory-mapped file."""
    rng, count = np.random.default_rng(0), 100_000
    path = tmp_path_factory.mktemp('large') / 'embeddings'
    rows = np.memmap(path, dtype=np.float16, mode='w+', shape=(count, 128))
    centres = rng.normal(size=(20, 128)).astype(np.float32)
    for start in range(0, count, 10_000):
        rows[start : start + 10_000] = centres[rng.integers(0, 20, 10_000)] + rng.standard_normal((10_000, 128))
    rows.flush()
    rows = np.memmap(path, dtype=np.float16, mode='r', shape=(count, 128))
    probabilities = {'label': rng.dirichlet(np.ones(10), count).astype(np.float32)}
    labeled = Labeled(np.arange(100), {'label': list(rng.integers(0, 10, 100))}, rng.normal(size=(100, 128)))
    return Pool(np.arange(count), probabilities, rows), labeled


# Quick ones have a tenth of the time that a loaded machine with two processors needs for the slow ones.
@pytest.mark.parametrize(
    ('name', 'seconds'), [('automatic', 10), ('cluster_margin', 10), ('badge', 30), ('core_set', 30), ('typiclust', 30)]
)
def test_a_large_pool_takes_seconds_and_little_memory(large, name, seconds):
    pool, labeled = large
    tracemalloc.start()
    begun = time.process_time()
    scores = checked_scores(strategy(name), pool, labeled, np.random.default_rng(0))
    picked = choose(strategy(name), pool, labeled, 100, np.random.default_rng(0), scores=scores)
    took, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(picked) == 100
    assert took < seconds
    # 51 MB are the embeddings themselves as float32; a table of all pairs would be 40 GB.
    assert peak < 200e6
