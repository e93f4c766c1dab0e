"""Labels that were flipped on purpose are found."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ml_plugins.exceptions import StrategyError
from ml_plugins.strategies import cross_validated, suspected_errors


def test_by_hand():
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.95, 0.05], [0.5, 0.5]])
    found = suspected_errors(['a', 'a', 'b', 'b', 'b', 'a'], rows, ['a', 'b'])
    (one,) = found
    assert (one.row, one.given, one.suggested) == (4, 'b', 'a')
    assert one.confidence == pytest.approx(0.95)
    assert one.doubt == pytest.approx(0.9)


def test_flipped_digits_are_found():
    digits, rng = load_digits(), np.random.default_rng(0)
    rows = rng.permutation(len(digits.target))[:900]
    features, answers = digits.data[rows] / 16, digits.target[rows].copy()
    flipped = rng.choice(900, 135, replace=False)
    answers[flipped] = (answers[flipped] + rng.integers(1, 10, 135)) % 10
    labels = list(range(10))
    found = suspected_errors(answers, cross_validated(features, answers, labels), labels)
    suspected = {item.row for item in found}
    hits = suspected & set(flipped.tolist())
    assert len(hits) / 135 >= 0.85
    assert len(hits) / len(suspected) >= 0.8
    # The worst come first.
    assert len({item.row for item in found[:50]} & set(flipped.tolist())) >= 48
    right = [item for item in found if item.row in hits]
    assert np.mean([digits.target[rows[item.row]] == int(item.suggested) for item in right]) >= 0.85
    assert len(suspected_errors(answers, cross_validated(features, answers, labels), labels, most=7)) == 7


def test_clean_labels_are_left_in_peace():
    rng = np.random.default_rng(0)
    features = np.repeat(5 * np.eye(3), 40, axis=0) + rng.normal(scale=0.2, size=(120, 3))
    answers = np.repeat(['x', 'y', 'z'], 40)
    assert suspected_errors(answers, cross_validated(features, answers, ['x', 'y', 'z']), ['x', 'y', 'z']) == []


def test_a_label_that_nobody_gave_is_not_suggested():
    rows = np.array([[0.3, 0.0, 0.7], [0.2, 0.0, 0.8], [0.1, 0.9, 0.0]])
    found = suspected_errors(['a', 'a', 'b'], rows, ['a', 'b', 'c'])
    assert found == []


def test_tasks_without_probabilities_are_passed_over():
    rows = np.array([[np.nan, np.nan], [0.1, 0.9], [0.9, 0.1]])
    assert [item.row for item in suspected_errors(['a', 'a', 'b'], rows, ['a', 'b'])] in ([], [1, 2], [2, 1])
    assert suspected_errors([], np.empty((0, 2)), ['a', 'b']) == []


def test_wrong_input_is_named():
    with pytest.raises(StrategyError, match='the label "c" is none of a, b'):
        suspected_errors(['c'], np.zeros((1, 2)), ['a', 'b'])
    with pytest.raises(StrategyError, match=r'not \(1, 3\)'):
        suspected_errors(['a'], np.zeros((1, 3)), ['a', 'b'])
    with pytest.raises(StrategyError, match='1 labeled tasks cannot be cross-validated'):
        cross_validated(np.zeros((1, 2)), ['a'], ['a', 'b'])


def test_cross_validation_never_asks_a_model_that_knew_the_task():
    seen = []

    def fit(features, answers, classes):
        known = {float(value) for value in features[:, 0]}

        def predict(rows):
            seen.append(known & {float(value) for value in rows[:, 0]})
            return np.full((len(rows), classes), 1 / classes)

        return predict

    rows = cross_validated(np.arange(10.0)[:, None], ['a'] * 7 + ['b'] * 3, ['a', 'b'], fit)
    assert seen == [set()] * 5
    assert np.isfinite(rows).all()
    assert np.isnan(cross_validated(np.arange(4.0)[:, None], list('abab'), ['a', 'b'], should_stop=lambda: True)).all()
