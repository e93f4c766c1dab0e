"""Intervals cover and tests keep what they promise, in simulations with fixed seeds."""

from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest

from label_studio.ml_host.quality.drop import drop_of, is_time_to_test
from label_studio.ml_host.quality.statistics import drop_p_value, paired_test, score_of


def test_wilson_interval_is_the_textbook_one():
    score = score_of([1.0] * 81 + [0.0] * 182)
    assert (score.value, score.tasks) == (pytest.approx(81 / 263), 263)
    assert (score.low, score.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_interval_of_one_task_stays_wide():
    score = score_of([1.0])
    assert score.low < 0.25
    assert score.high == 1.0


def test_no_values_have_no_score():
    assert score_of([]) is None


@pytest.mark.parametrize('share', [0.6, 0.95])
def test_intervals_cover_the_truth_in_95_of_100(share):
    generator = np.random.default_rng(1)
    samples = generator.random((400, 80)) < share
    covered = [score.low <= share <= score.high for score in map(score_of, samples.astype(float))]
    assert 0.92 <= np.mean(covered) <= 0.99


def test_bootstrap_covers_the_truth():
    generator = np.random.default_rng(2)
    samples = generator.beta(4, 2, (150, 60))
    covered = [score.low <= 4 / 6 <= score.high for score in map(score_of, samples)]
    assert 0.89 <= np.mean(covered) <= 0.99


def test_same_numbers_every_time():
    generator = np.random.default_rng(3)
    values, others = generator.random((2, 70))
    assert score_of(values) == score_of(values)
    assert paired_test(values, others) == paired_test(values, others)


def versions(generator, tasks, first, second, alike):
    """Two versions that are right on shares of the tasks, and answer alike on a share of them."""
    hard = generator.random(tasks)
    own = np.where(generator.random(tasks) < alike, hard, generator.random(tasks))
    return (hard < first).astype(float), (own < second).astype(float)


def false_alarms(tasks, make, times=600):
    generator = np.random.default_rng(tasks)
    results = [paired_test(*make(generator, tasks)) for _ in range(times)]
    return np.mean([result.p_worse < 0.05 for result in results]), np.mean([r.p_better < 0.05 for r in results])


def test_equal_versions_are_called_different_in_5_of_100():
    worse, better = false_alarms(120, lambda generator, tasks: versions(generator, tasks, 0.8, 0.8, alike=0.3))
    # Whole numbers of tasks that differ make the test a little cautious.
    assert 0.015 <= worse <= 0.08
    assert 0.015 <= better <= 0.08


def test_equal_versions_with_shares_are_called_different_in_5_of_100():
    worse, better = false_alarms(12, lambda generator, tasks: generator.random((2, tasks)))
    assert 0.03 <= worse <= 0.07
    assert 0.03 <= better <= 0.07


def test_few_tasks_raise_few_alarms():
    worse, better = false_alarms(6, lambda generator, tasks: versions(generator, tasks, 0.8, 0.8, alike=0.3))
    assert worse <= 0.05
    assert better <= 0.05


def test_a_real_difference_is_found():
    generator = np.random.default_rng(4)
    found = [paired_test(*versions(generator, 200, 0.8, 0.9, alike=0.8)) for _ in range(100)]
    assert np.mean([result.p_worse < 0.05 for result in found]) >= 0.95
    assert not any(result.p_better < 0.05 for result in found)


def test_paired_test_sees_what_means_alone_would_not():
    # 6 of 200 tasks got worse and none better: the intervals overlap almost wholly.
    old = np.ones(200)
    new = old.copy()
    new[:6] = 0.0
    result = paired_test(new, old)
    assert result.p_worse == pytest.approx(2**-6)
    assert result.p_better == 1.0
    assert score_of(new).high > score_of(old).low


@pytest.mark.parametrize('tasks', [13, 14, 1999, 2000])
def test_ways_to_compute_agree_where_they_meet(tasks):
    # A third of the differences have the other sign; the same share of all of them at each size gives its own p.
    generator = np.random.default_rng(5)
    differences = np.where(generator.random(tasks) < 0.5 - 0.8 / np.sqrt(tasks), -1.0, 1.0) * generator.random(tasks)
    result = paired_test(differences, np.zeros(tasks))
    z = differences.sum() / np.sqrt((differences**2).sum())
    assert result.p_better == pytest.approx(1 - NormalDist().cdf(z), abs=0.03)
    assert result.p_worse == pytest.approx(NormalDist().cdf(z), abs=0.03)


def test_no_difference_at_all():
    result = paired_test([1.0, 0.0], [1.0, 0.0])
    assert (result.p_worse, result.p_better, result.p_value) == (1.0, 1.0, 1.0)
    assert paired_test([], []).tasks == 0


def test_many_tasks_take_little_memory_and_time():
    generator = np.random.default_rng(6)
    values, others = generator.random((2, 200_000))
    assert paired_test(values, others).p_value > 0.001
    assert score_of(values[:20_000]).low > 0.49


def looks(generator, share, before, most=640):
    """Whether a version whose predictions are accepted with a share is ever reported, held against 200 annotations."""
    accepted = np.cumsum(generator.random(most) < share)
    old = SimpleNamespace(number=1, live_count=200, live_sum=200 * before)
    return any(
        drop_of(SimpleNamespace(number=2, live_count=count, live_sum=accepted[count - 1]), old) is not None
        for count in range(1, most + 1)
        if is_time_to_test(count - 1, count)
    )


def test_agreement_that_did_not_drop_is_rarely_reported():
    generator = np.random.default_rng(7)
    reported = [looks(generator, 0.8, generator.binomial(200, 0.8) / 200) for _ in range(400)]
    assert np.mean(reported) <= 0.05


def test_a_clear_drop_is_reported():
    generator = np.random.default_rng(8)
    reported = [looks(generator, 0.6, generator.binomial(200, 0.85) / 200, most=80) for _ in range(100)]
    assert np.mean(reported) >= 0.9


def test_a_rise_and_certainties_are_no_drop():
    assert drop_p_value(0.9, 30, 0.8, 30) == 1.0
    assert drop_p_value(0.0, 30, 0.0, 30) == 1.0
    assert drop_p_value(0.5, 30, 1.0, 30) < 0.001


def test_times_to_test_double():
    assert [count for count in range(1, 200) if is_time_to_test(count - 1, count)] == [20, 40, 80, 160]
    # Many at once pass a mark as well.
    assert is_time_to_test(15, 70)
    assert not is_time_to_test(25, 39)
