"""A cheap model on embeddings, for curves, replay and cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from ml_plugins.strategies.threads import one_thread

Predict = Callable[[np.ndarray], np.ndarray]
# Takes features (n, d), answers (n,) as class numbers and the number of classes; gives a function from features to
# probabilities (n, classes).
Fit = Callable[[np.ndarray, np.ndarray, int], Predict]


def logistic(features: np.ndarray, answers: np.ndarray, classes: int) -> Predict:
    """Logistic regression on features that are scaled by one number, so that their directions stay as they are.

    With one class in the answers that class is predicted, and classes that were not seen have probability 0.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    answers = np.asarray(answers)
    seen = np.unique(answers)
    if len(seen) < 2:
        return lambda rows: _spread(np.ones((len(rows), len(seen))), seen, classes)
    values = np.asarray(features, dtype=np.float64)
    middle = values.mean(axis=0)
    scale = float(np.sqrt(((values - middle) ** 2).mean())) or 1.0
    model = LogisticRegression(C=1.0, max_iter=300)
    with one_thread(len(values)), warnings.catch_warnings():
        # An almost converged model predicts as well, and the next one is made in a moment.
        warnings.simplefilter('ignore', ConvergenceWarning)
        model.fit((values - middle) / scale, answers)
    return lambda rows: _spread(model.predict_proba((np.asarray(rows, np.float64) - middle) / scale), seen, classes)


def _spread(probabilities: np.ndarray, seen: np.ndarray, classes: int) -> np.ndarray:
    found = np.zeros((len(probabilities), classes))
    found[:, seen] = probabilities if len(seen) else 0.0
    return found
