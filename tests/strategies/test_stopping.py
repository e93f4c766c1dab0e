"""When to stop: each criterion on histories made by hand."""

import numpy as np
import pytest

from ml_plugins.strategies import History, Round, criterion, criterion_classes, forecast_gain
from ml_plugins.strategies.criteria import kappa
from ml_plugins.strategies.gain import Measured, fit_power_law

STOP_SET = np.arange(100)
ANSWERS = np.array(['a', 'b'] * 50)


def answering(*answers, **more):
    rounds = [Round(10 * (number + 1), STOP_SET, found) for number, found in enumerate(answers)]
    return History(rounds, 10 * len(rounds), **{'fewest_of_a_class': 9, 'explored': 3, **more})


def with_changes(count):
    changed = ANSWERS.copy()
    changed[:count] = 'c'
    return changed


@pytest.mark.parametrize('name', list(criterion_classes()))
@pytest.mark.parametrize(
    'history',
    [
        History(),
        History([Round(10)]),
        History([Round(10, score=0.5, uncertainty=float('nan'))] * 9),
        History([Round(10, np.arange(3), np.array(list('abc'))), Round(20, np.arange(5, 8), np.array(list('abc')))]),
        History([Round(10 * n, np.empty(0), np.empty(0)) for n in range(9)]),
    ],
)
def test_a_history_with_gaps_is_no_reason_to_stop(name, history):
    advice = criterion(name).look(history)
    assert advice.stop is False
    assert advice.sentence.endswith('.')


def test_kappa_by_hand():
    first, second = np.array(list('aabb')), np.array(list('aabc'))
    chance = 0.5 * 0.5 + 0.5 * 0.25
    assert kappa(first, second) == pytest.approx((0.75 - chance) / (1 - chance))
    assert kappa(first, first) == 1.0
    assert kappa(np.array(['a', 'a']), np.array(['a', 'a'])) == 1.0


def test_stable_predictions_stop():
    advice = criterion('prediction_stability').look(answering(ANSWERS, ANSWERS, ANSWERS, ANSWERS))
    assert advice.stop
    assert advice.value == 1.0
    assert 'kappa of 1.000 over 3 rounds' in advice.sentence


def test_unstable_or_too_few_predictions_do_not():
    look = criterion('prediction_stability').look
    assert not look(answering(ANSWERS, ANSWERS, ANSWERS)).stop
    assert '4 models are needed to say, and there are 3' in look(answering(ANSWERS, ANSWERS, ANSWERS)).sentence
    advice = look(answering(ANSWERS, ANSWERS, ANSWERS, with_changes(10)))
    assert not advice.stop
    assert 0.9 < advice.value < 0.99


@pytest.mark.parametrize('name', ['prediction_stability', 'classification_change'])
def test_a_class_that_was_hardly_seen_forbids_a_stop(name):
    history = answering(*[ANSWERS] * 5, fewest_of_a_class=4)
    assert 'But a class has only 4 labels; 5 are asked.' in criterion(name).look(history).sentence
    assert not criterion(name).look(history).stop
    assert criterion(name, {'per_class': 4}).look(history).stop


@pytest.mark.parametrize('name', ['prediction_stability', 'classification_change', 'overall_uncertainty'])
def test_a_stop_needs_a_look_at_random_tasks(name):
    rounds = [Round(item.labels, STOP_SET, ANSWERS, 0.01) for item in answering(*[ANSWERS] * 5).rounds]
    assert not criterion(name).look(History(rounds, 50, 9, 0)).stop
    assert criterion(name).look(History(rounds, 50, 9, 1)).stop
    assert criterion(name).look(History(rounds, 50, None, None)).stop


def test_only_common_tasks_are_compared():
    rounds = [Round(10, np.arange(50), ANSWERS[:50]), Round(20, np.arange(25, 100), ANSWERS[25:])]
    advice = criterion('classification_change').look(History(rounds, 20, 9, 9))
    assert advice.stop
    assert advice.value == 0.0


def test_one_changed_answer_is_a_change():
    look = criterion('classification_change').look
    assert not look(answering(ANSWERS, with_changes(1))).stop
    assert look(answering(ANSWERS, with_changes(1))).value == pytest.approx(0.01)
    assert criterion('classification_change', {'share': 0.02}).look(answering(ANSWERS, with_changes(1))).stop


def test_overall_uncertainty_looks_at_the_newest_model():
    rounds = [Round(10, uncertainty=0.01), Round(20, uncertainty=0.2)]
    assert not criterion('overall_uncertainty').look(History(rounds, 20, 9, 9)).stop
    advice = criterion('overall_uncertainty').look(History(rounds[::-1], 20, 9, 9))
    assert advice.stop
    assert advice.value == pytest.approx(0.01)


def test_budget():
    assert not criterion('budget', {'labels': 50}).look(History(labels=49)).stop
    assert criterion('budget', {'labels': 50}).look(History(labels=50)).sentence == '50 of 50 labels are given.'


@pytest.mark.parametrize(('top', 'drop', 'exponent'), [(0.95, 1.2, 0.6), (1.0, 2.0, 0.4), (0.8, 0.0, 1.0)])
def test_a_power_law_is_found_again(top, drop, exponent):
    labels = np.arange(20.0, 400.0, 20.0)
    law = fit_power_law(labels, top - drop * labels**-exponent)
    for count in (20, 100, 400, 800):
        assert law.at(count) == pytest.approx(top - drop * count**-exponent, abs=0.005)


def test_a_law_never_falls_and_stays_below_one():
    falling = fit_power_law(np.array([10.0, 20, 40, 80]), np.array([0.9, 0.8, 0.7, 0.6]))
    assert falling.at(160) == pytest.approx(falling.at(10))
    steep = fit_power_law(np.array([10.0, 20, 40, 80]), np.array([0.1, 0.4, 0.7, 0.99]))
    assert steep.at(1e9) <= 1.0
    assert steep.labels_for(1.01) == np.inf


def noisy_curve(seed, noise=0.005, last=400):
    labels = np.arange(20, last + 1, 20)
    scores = 0.95 - 1.2 * labels**-0.6 + np.random.default_rng(seed).normal(0, noise, len(labels))
    return [Measured(int(n), float(s), noise) for n, s in zip(labels, scores, strict=True)]


def test_the_forecast_covers_what_comes():
    true = (0.95 - 1.2 * 500**-0.6) - (0.95 - 1.2 * 400**-0.6)
    found = [forecast_gain(noisy_curve(seed), 100) for seed in range(20)]
    assert np.mean([abs(item.gain - true) < 0.01 for item in found]) >= 0.8
    assert np.mean([item.low <= true <= item.high for item in found]) >= 0.9
    assert found[0].sentence.startswith('The next 100 labels will bring about +')
    assert 'points (95 % interval' in found[0].sentence


def test_the_forecast_is_the_same_each_time_and_wider_with_noise():
    assert forecast_gain(noisy_curve(1), 100) == forecast_gain(noisy_curve(1), 100)
    quiet, loud = (forecast_gain(noisy_curve(1, noise), 100) for noise in (0.002, 0.03))
    assert loud.high - loud.low > 3 * (quiet.high - quiet.low)
    # What will be measured depends on chance twice: now and then.
    assert loud.high - loud.gain > 0.03
    assert loud.expected_high < loud.high


def test_marginal_gain_stops_where_labels_no_longer_pay():
    def history(curve):
        rounds = [
            Round(item.labels, score=item.score, score_low=item.score - 0.01, score_high=item.score + 0.01)
            for item in curve
        ]
        return History(rounds, rounds[-1].labels)

    early = criterion('marginal_gain').look(history(noisy_curve(1, last=100)))
    assert not early.stop
    assert early.value > 2
    late = criterion('marginal_gain').look(history(noisy_curve(1, 0.001, last=3000)))
    assert late.stop
    assert late.sentence.endswith('That is less than the 0.5 points asked.')
    # Little is expected, but a good deal is possible.
    unclear = criterion('marginal_gain').look(history(noisy_curve(3, 0.02, last=300)))
    assert unclear.value < 0.5
    assert not unclear.stop
    few = criterion('marginal_gain').look(history(noisy_curve(1, last=60)))
    assert few.value is None
    assert few.sentence == 'Too early to say what the next labels bring: 3 of 4 measured models are there.'
