"""What the scoring process computes from files: every kind of answer, unanswered tasks, and the random share."""

import numpy as np
import pytest

from label_studio.ml_host.sampling.computing import LABELED, PICKS, POOL, SCORED, SCORES, Order, compute
from label_studio.ml_host.sampling.rows import rows_of
from label_studio.ml_host.sampling.store import AnswerStore
from ml_plugins import Prediction
from ml_plugins.exceptions import StrategyError
from ml_plugins.types import Region


@pytest.fixture
def choose(tmp_path):
    """Gives `choose(strategy, said, pool)`: what is computed when a model said something of some tasks."""
    store, work = tmp_path / 'store', tmp_path / 'work'
    work.mkdir()

    def ask(strategy, said, pool, labeled=(), **fields):
        AnswerStore(store).append(rows_of(said))
        np.save(work / POOL, np.array(pool, dtype=np.int64))
        np.save(work / LABELED, np.array(labeled, dtype=np.int64))
        order = Order(str(store), str(work), strategy, **{'size': len(pool), **fields})
        return compute(order), np.load(work / SCORED), np.load(work / SCORES), np.load(work / PICKS)

    return ask


def two(sure):
    return {'choice': np.array([sure, 1 - sure])}


def test_a_committee_that_disagrees_comes_first(choose):
    said = [(number, Prediction(members=[two(0.9), two(0.9 - number / 10)])) for number in (1, 5, 3)]
    for strategy in ('bald', 'committee'):
        computed, scored, scores, picks = choose(strategy, said, [1, 3, 5], params={'batch': 'best'})
        assert picks['task_id'].tolist() == [5, 3, 1]
        assert scored[np.argmax(scores)] == 5
        assert computed.needs == ['members']


def test_an_unlikely_sequence_comes_first(choose):
    said = [(1, Prediction(log_probabilities=np.array([-0.1, -0.1]))), (2, Prediction(log_probabilities=[-2.0]))]
    computed, _, _, picks = choose('mnlp', said, [1, 2], params={'batch': 'best'})
    assert picks['task_id'].tolist() == [2, 1]
    assert computed.needs == ['sequences']


def test_doubtful_boxes_come_first(choose):
    def boxes(*scores):
        return Prediction([Region('box', 'image', 'rectanglelabels', {}, score) for score in scores])

    said = [(1, boxes(0.99)), (2, boxes(0.5, 0.5)), (3, boxes())]
    _, _, _, picks = choose('region_uncertainty', said, [1, 2, 3], params={'batch': 'best'})
    assert picks['task_id'].tolist() == [2, 1, 3]


def test_unanswered_tasks_come_last_and_have_no_score(choose):
    said = [(number, Prediction(probabilities=two(0.5 + number / 10))) for number in (1, 2)]
    computed, scored, _, picks = choose('margin', said, [1, 2, 3, 4])
    assert (computed.known, computed.total) == (2, 4)
    assert scored.tolist() == [1, 2]
    assert picks['task_id'][:2].tolist() == [1, 2]
    assert sorted(picks['task_id'][2:]) == [3, 4]
    assert picks['known'].tolist() == [True, True, False, False]
    assert picks['rank'][:2].tolist() == [1, 2]


def test_the_random_share_is_drawn_from_unanswered_tasks_too(choose):
    said = [(number, Prediction(probabilities=two(0.75))) for number in range(10)]
    drawn = []
    for seed in range(30):
        _, _, _, picks = choose('margin', said, list(range(100)), size=4, share=0.5, seed=(seed, 1))
        drawn += picks['task_id'][picks['explored']].tolist()
        assert (picks['propensity'][picks['explored']] >= 0.5 / 100).all()
        assert (picks['task_id'][~picks['explored']] < 10).all()
    # Nine of ten have not been answered.
    assert np.mean(np.array(drawn) >= 10) > 0.7


def test_labels_cover_what_lies_near_them(choose):
    said = [(number, Prediction(embedding=np.array([number // 10, number % 10 / 100]))) for number in range(40)]
    answers = {'choice': [['cat'], ['dog']]}
    _, _, _, picks = choose('core_set', said, list(range(10, 40)), labeled=[0, 1], size=3, answers=answers)
    assert picks['task_id'][0] >= 30


def test_what_is_labeled_before_the_next_version_is_a_batch_by_itself(choose):
    # Five kinds of four tasks each.
    said = [(number, Prediction(embedding=np.eye(5)[number % 5] + number / 1e4)) for number in range(20)]
    answers = {'choice': []}
    whole = {'size': 20, 'answers': answers, 'seed': (3, 1)}
    _, _, _, picks = choose('typiclust', said, list(range(20)), first=5, **whole)
    assert sorted(picks['task_id'][:5] % 5) == [0, 1, 2, 3, 4]
    assert sorted(picks['task_id']) == list(range(20))
    # What follows differs from those as from labeled ones.
    _, _, _, picks = choose('typiclust', said, list(range(20)), first=3, size=5, answers=answers, seed=(3, 1))
    assert sorted(picks['task_id'] % 5) == [0, 1, 2, 3, 4]
    _, _, _, picks = choose('typiclust', said, list(range(20)), first=50, **whole)
    assert sorted(picks['task_id']) == list(range(20))


def test_the_steps_of_a_strategy_without_batches_are_in_one_order(choose):
    said = [(number, Prediction(probabilities=two(0.5 + number / 100))) for number in range(30)]
    _, _, _, picks = choose('margin', said, list(range(30)), first=7, size=20)
    assert picks['task_id'].tolist() == list(range(20))
    assert picks['rank'].tolist() == list(range(1, 21))


def test_what_is_missing_is_said(choose):
    said = [(1, Prediction(score=0.5))]
    with pytest.raises(StrategyError, match='"margin": The ML backend gives no class probabilities'):
        choose('margin', said, [1])
    with pytest.raises(StrategyError, match='no answers of the model to go by yet'):
        choose('margin', said, [2])


def test_with_nothing_to_label_nothing_is_chosen(choose):
    computed, scored, _, picks = choose('margin', [(1, Prediction(probabilities=two(0.5)))], [])
    assert (len(scored), len(picks), computed.explanation) == (0, 0, 'Every task has a label.')
