"""What the strategies say about tasks, against numbers computed by hand."""

import math

import numpy as np
import pytest

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import Labeled, Pool, strategy

SURE, TORN, FLAT = [0.98, 0.01, 0.01], [0.5, 0.5, 0.0], [0.34, 0.33, 0.33]
RNG = np.random.default_rng(0)


def scores(name, pool, **values):
    return strategy(name, values).score(pool, Labeled(), np.random.default_rng(0))


def pool_with(*rows, **more):
    return Pool(np.arange(len(rows)), {'label': np.array(rows, dtype=float)}, **more)


def test_uncertainty_by_hand():
    pool = pool_with(SURE, TORN, FLAT)
    assert scores('least_confidence', pool) == pytest.approx([0.02, 0.5, 0.66])
    assert scores('margin', pool) == pytest.approx([1 - 0.97, 1.0, 0.99])
    expected = -sum(p * math.log(p) for p in SURE) / math.log(3)
    assert scores('entropy', pool)[0] == pytest.approx(expected)
    assert scores('entropy', pool)[1] == pytest.approx(math.log(2) / math.log(3))


def test_controls_are_averaged():
    pool = Pool(np.arange(2), {'one': np.array([TORN, SURE]), 'other': np.array([[1.0, 0.0], [0.5, 0.5]])})
    assert scores('margin', pool) == pytest.approx([(1.0 + 0.0) / 2, (0.03 + 1.0) / 2])


def test_labels_that_do_not_exclude_one_another_are_questions_of_their_own():
    rows = np.array([[0.9, 0.8, 0.1], [0.5, 0.5, 0.5]])
    expected = [np.mean([0.2, 0.4, 0.2]), 1.0]
    assert scores('margin', Pool(np.arange(2), {'label': rows})) == pytest.approx(expected)
    # Rows that happen to add up to 1 are recognised by name.
    rows = np.array([[0.5, 0.5, 0.0]])
    assert scores('margin', Pool(np.arange(1), {'label': rows}, multi_label=['label'])) == pytest.approx([2 / 3])


def test_one_class_is_no_question():
    pool = pool_with([1.0], [1.0])
    for name in ('least_confidence', 'margin', 'entropy'):
        assert scores(name, pool).tolist() == [0.0, 0.0]


@pytest.mark.parametrize('name', ['least_confidence', 'margin', 'entropy', 'cluster_margin', 'badge'])
@pytest.mark.parametrize('bad', [[np.nan] * 3, [np.inf, 0, 0], [0.0, 0.0, 0.0]])
def test_tasks_that_nothing_is_known_about_come_last(name, bad):
    pool = pool_with(bad, SURE, TORN, bad, embeddings=np.eye(4, dtype=np.float32))
    found = scores(name, pool)
    assert np.isfinite(found).all()
    assert found[[0, 3]].tolist() == [found.min()] * 2
    batch = strategy(name).select(pool, Labeled(), 1, np.random.default_rng(0))
    assert batch.tolist() == [2]


@pytest.mark.parametrize('name', ['margin', 'badge', 'automatic'])
def test_a_model_that_knows_nothing_at_all_is_an_error_or_passed_over(name):
    pool = pool_with([np.nan] * 3, [np.nan] * 3, embeddings=np.eye(2, dtype=np.float32))
    if name == 'automatic':
        assert np.isfinite(scores(name, pool)).all()
    else:
        with pytest.raises(StrategyError, match='of no task are usable'):
            scores(name, pool)


@pytest.mark.parametrize('name', ['core_set', 'typiclust', 'badge', 'cluster_margin'])
def test_tasks_without_a_usable_embedding_are_taken_when_no_others_are_left(name):
    rows = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    rows[[2, 5]] = np.nan
    pool = Pool(np.arange(12), {'label': np.random.default_rng(2).dirichlet(np.ones(3), 12)}, rows)
    assert not {2, 5} & set(strategy(name).select(pool, Labeled(), 10, np.random.default_rng(0)).tolist())
    assert {2, 5} <= set(strategy(name).select(pool, Labeled(), 12, np.random.default_rng(0)).tolist())


def test_bald_tells_doubt_about_the_model_from_doubt_about_the_task():
    members = [
        {'label': np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])},
        {'label': np.array([[0.5, 0.5], [0.0, 1.0], [0.9, 0.1]])},
    ]
    pool = Pool(np.arange(3), members=members)
    assert scores('bald', pool) == pytest.approx([0.0, math.log(2), 0.0], abs=1e-9)
    assert scores('committee', pool, rule='consensus') == pytest.approx([0.0, math.log(2), 0.0], abs=1e-9)
    votes = scores('committee', pool)
    assert votes[1] > math.log(2) - 1e-9
    assert votes[[0, 2]] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_equal_votes_are_told_apart_by_the_doubt_behind_them():
    one, other = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.9, 0.1], [0.95, 0.05]])
    found = scores('committee', Pool(np.arange(2), members=[{'label': one}, {'label': other}]))
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert 0 < found[1] < 1e-3


def test_a_committee_of_one_or_without_a_common_question_is_refused():
    row = np.array([[0.5, 0.5]])
    with pytest.raises(StrategyError, match='1 member cannot disagree'):
        scores('bald', Pool(np.arange(1), members=[{'label': row}]))
    with pytest.raises(StrategyError, match='no control in common'):
        scores('bald', Pool(np.arange(1), members=[{'one': row}, {'other': row}]))
    with pytest.raises(StrategyError, match='different numbers of classes'):
        scores('bald', Pool(np.arange(1), members=[{'label': row}, {'label': np.array([[0.3, 0.3, 0.4]])}]))


def test_mnlp_does_not_prefer_long_texts():
    long_and_sure, short_and_unsure = np.log(np.full(50, 0.9)), np.log(np.array([0.5]))
    pool = Pool(np.arange(3), sequences=[long_and_sure, short_and_unsure, np.empty(0)])
    found = scores('mnlp', pool)
    assert found == pytest.approx([-math.log(0.9), -math.log(0.5), -math.log(0.9)])
    mixed = Pool(np.arange(2), sequences=[np.log([0.9, 0.9, 0.1]), np.log([0.4, 0.4, 0.4])])
    assert scores('mnlp', mixed, rule='least') == pytest.approx([0.9, 0.6])


def test_regions_are_aggregated():
    pool = Pool(np.arange(3), regions=[np.array([0.5, 0.5]), np.array([0.5, 0.99]), np.empty(0)])
    one = -(0.99 * math.log(0.99) + 0.01 * math.log(0.01)) / math.log(2)
    assert scores('region_uncertainty', pool) == pytest.approx([2.0, 1.0 + one, 0.0])
    assert scores('region_uncertainty', pool, aggregate='max') == pytest.approx([1.0, 1.0, 0.0])
    assert scores('region_uncertainty', pool, aggregate='mean') == pytest.approx([1.0, (1 + one) / 2, 0.0])


def test_pixels_with_classes():
    pool = Pool(np.arange(2), regions=[np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[1.0, 0.0]])])
    assert scores('region_uncertainty', pool, aggregate='mean') == pytest.approx([0.5, 0.0], abs=1e-9)


def test_badge_length_is_that_of_the_gradient():
    rows, embeddings = np.array([[0.7, 0.3], [0.5, 0.5]]), np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    expected = [np.linalg.norm(np.outer([-0.3, 0.3], [3, 4, 1])), np.linalg.norm(np.outer([-0.5, 0.5], [0, 0, 1]))]
    assert scores('badge', Pool(np.arange(2), {'label': rows}, embeddings)) == pytest.approx(expected)


def test_core_set_scores_are_distances_to_what_is_labeled():
    pool = Pool(np.arange(3), embeddings=np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]], dtype=np.float32))
    labeled = Labeled(np.array([9]), {'label': ['a']}, np.zeros((1, 2), dtype=np.float32))
    assert strategy('core_set').score(pool, labeled, RNG) == pytest.approx([0.0, 5.0, 1.0])


def test_half_precision_gives_the_same_order():
    rows = np.random.default_rng(3).dirichlet(np.ones(5), 200)
    exact = scores('margin', Pool(np.arange(200), {'label': rows}))
    rough = scores('margin', Pool(np.arange(200), {'label': rows.astype(np.float16)}))
    assert rough == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize('name', ['core_set', 'typiclust'])
def test_labeled_tasks_without_usable_embeddings_cover_nothing(name):
    rows = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    pool, lost = Pool(np.arange(30), embeddings=rows), np.full((4, 3), np.nan, dtype=np.float32)
    answers = {'label': list('abab')}
    for labeled in (Labeled(np.arange(4), answers, lost), Labeled(np.arange(4), answers)):
        assert np.isfinite(strategy(name).score(pool, labeled, np.random.default_rng(0))).all()
        assert len(strategy(name).select(pool, labeled, 5, np.random.default_rng(0))) == 5


@pytest.mark.parametrize('name', ['core_set', 'typiclust'])
def test_embeddings_of_different_versions_are_refused(name):
    pool = Pool(np.arange(3), embeddings=np.zeros((3, 8), dtype=np.float32))
    labeled = Labeled(np.arange(1), {'label': ['a']}, np.zeros((1, 4), dtype=np.float32))
    with pytest.raises(StrategyError, match=r'shape \(1, 4\), those of the pool 8 columns'):
        strategy(name).score(pool, labeled, RNG)


def test_labeled_parts_of_different_length_are_refused():
    with pytest.raises(StrategyError, match='2 tasks are labeled, but answers of "label" has 1 rows'):
        Labeled(np.arange(2), {'label': ['a']})
