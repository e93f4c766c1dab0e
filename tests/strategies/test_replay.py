"""Replay: strategies against each other over known labels."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import Arm, QueryStrategy, ReplayData, run_replay, strategy

DIGITS = load_digits()
DATA = ReplayData((DIGITS.data / 16).astype(np.float32), DIGITS.target)
SMALL = ReplayData(DATA.features[:300], DATA.answers[:300], task_ids=np.arange(1000, 1300))


def arms(*names):
    return [Arm(name, strategy(name)) for name in names]


def small(*names, **more):
    return run_replay(SMALL, arms(*names), **{'seeds': (0, 1), 'most_labels': 50, **more})


def test_the_order_that_is_known_for_digits():
    report = run_replay(DATA, arms('entropy', 'random', 'margin', 'cluster_margin'), seeds=range(5), most_labels=150)
    areas = {curve.arm: curve.area for curve in report.curves}
    assert areas['cluster_margin'] > areas['random'] > areas['entropy']
    assert areas['margin'] > areas['random']
    assert [curve.area for curve in report.curves] == sorted(areas.values(), reverse=True)


def test_the_same_seeds_give_the_same_curves():
    first, second = small('cluster_margin', 'random'), small('cluster_margin', 'random')
    assert first.served == second.served
    assert [curve.runs.tolist() for curve in first.curves] == [curve.runs.tolist() for curve in second.curves]


def test_points_have_intervals_and_tasks_are_served_once():
    report = small('margin', 'random')
    curve = report.curve('margin')
    assert [point.labels for point in curve.points] == [10, 20, 30, 40, 50]
    assert curve.runs.shape == (2, 5)
    assert all(point.low <= point.accuracy <= point.high for point in curve.points)
    for served in report.served.values():
        assert len(set(served)) == 50
        assert min(served) >= 1000
    assert curve.labels_to(2.0) is None
    assert curve.at(35).labels == 30
    with pytest.raises(StrategyError, match=r'no arm "other"; there are: (margin, random|random, margin)'):
        report.curve('other')


def test_arms_that_need_a_model_begin_with_the_same_random_tasks():
    report = small('margin', 'entropy', 'typiclust')
    assert report.served[0, 'margin'][:10] == report.served[0, 'entropy'][:10]
    assert report.served[0, 'margin'][:10] != report.served[0, 'typiclust'][:10]


def test_held_out_tasks_are_never_served():
    held_out = np.arange(300) < 100
    data = ReplayData(SMALL.features, SMALL.answers, held_out=held_out)
    report = run_replay(data, arms('margin'), seeds=(0, 1), most_labels=40)
    assert all(min(served) >= 100 for served in report.served.values())


def test_a_stale_arm_scores_once_for_many_labels():
    calls = []

    class Counting(QueryStrategy):
        name = 'counting'
        title = 'Counting'

        def score(self, pool, labeled, rng):
            calls.append(len(labeled))
            return np.zeros(len(pool))

    run_replay(SMALL, [Arm('stale', Counting(), every=20)], seeds=(0,), most_labels=50)
    assert calls == [0, 10, 30]


def test_progress_and_cancel():
    seen = []
    small('random', 'margin', progress=lambda done, total, sentence: seen.append((done, total, sentence)))
    assert [done for done, _total, _sentence in seen] == list(range(20))
    assert {total for _done, total, _sentence in seen} == {20}
    assert seen[7][2] == 'margin, seed 0: 30 labels'
    steps = iter([False] * 14)
    report = small('random', 'margin', should_stop=lambda: next(steps, True))
    assert report.cancelled
    assert report.seeds == (0,)
    assert report.curve('random').runs.shape == (1, 5)
    at_once = small('random', should_stop=lambda: True)
    assert at_once.cancelled
    assert at_once.curves == ()


def test_fewer_tasks_than_labels_end_the_curve():
    data = ReplayData(SMALL.features[:40], SMALL.answers[:40])
    report = run_replay(data, arms('cluster_margin'), seeds=(0,), most_labels=300)
    assert report.curves[0].points[-1].labels == 20


def test_what_cannot_be_replayed_is_refused():
    with pytest.raises(StrategyError, match='19 labeled tasks are too few'):
        run_replay(ReplayData(DATA.features[:19], DATA.answers[:19]), arms('random'))
    with pytest.raises(StrategyError, match='all tasks have the label "1"'):
        run_replay(ReplayData(DATA.features[:30], [1] * 30), arms('random'))
    with pytest.raises(StrategyError, match='30 rows of features and 29 answers'):
        run_replay(ReplayData(DATA.features[:30], DATA.answers[:29]), arms('random'))
    with pytest.raises(StrategyError, match='different names'):
        run_replay(SMALL, arms('random', 'random'))
    with pytest.raises(StrategyError, match='batch of 0'):
        run_replay(SMALL, arms('random'), batch=0)


def test_a_strategy_that_fails_is_named():
    class Failing(QueryStrategy):
        name = 'failing'
        title = 'Failing'

        def score(self, pool, labeled, rng):
            raise ValueError('no idea')

    with pytest.raises(StrategyError, match='arm "mine" failed at 0 labels: no idea'):
        run_replay(SMALL, [Arm('mine', Failing())])


def test_features_that_are_no_embeddings_are_kept_from_strategies():
    data = ReplayData(SMALL.features, SMALL.answers, has_embeddings=False)
    report = run_replay(data, arms('margin', 'automatic'), seeds=(0,), most_labels=30)
    assert report.curve('margin').points[-1].labels == 30
    with pytest.raises(StrategyError, match=r'arm "cluster_margin" failed at 10 labels: .* no embeddings'):
        run_replay(data, arms('cluster_margin'), seeds=(0,), most_labels=30)
