"""The trained part: logistic regression, one head for each control."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# How much a wrong answer costs against large weights. Rows have length one and terms outnumber texts, so that weaker
# priors than the usual one of scikit-learn learn more from few labels.
_COST = 10.0
_ITERATIONS = 300
THRESHOLD = 0.5


@dataclass(frozen=True)
class Head:
    """Class probabilities from rows of features.

    Attributes:
        control: The control's name.
        labels: What the head knows, in the order of its outputs.
        multiple: One decision for each label instead of one of all labels.
        weight: Of shape (features, labels).
        bias: Of shape (labels,).
    """

    control: str
    labels: tuple[str, ...]
    multiple: bool
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, rows: csr_matrix, labels: Sequence[str]) -> np.ndarray:
        """Probabilities of the given labels, of shape (rows, labels); 0 for labels that the head never saw.

        Labels of the head that are not asked for are left out as if they had not been learned.
        """
        from scipy.special import expit, softmax

        places = [place for place, label in enumerate(labels) if label in self.labels]
        result = np.zeros((rows.shape[0], len(labels)))
        if places:
            columns = [self.labels.index(labels[place]) for place in places]
            logits = rows @ self.weight[:, columns] + self.bias[columns]
            result[:, places] = expit(logits) if self.multiple else softmax(logits, axis=1)
        return result


def chosen(row: np.ndarray, multiple: bool) -> list[int]:
    """Indices of the labels that a row of probabilities speaks for."""
    if multiple:
        return [int(index) for index in np.flatnonzero(row >= THRESHOLD)]
    return [int(row.argmax())] if row.max() > 0 else []


def fit_head(
    control: str, labels: Sequence[str], multiple: bool, rows: csr_matrix, answers: Sequence[Sequence[str]]
) -> Head:
    """Train a head; the same input gives the same head.

    Args:
        control: The control's name.
        labels: Labels that are learned; each is in one of the answers at least.
        multiple: One decision for each label.
        rows: Features of shape (texts, features).
        answers: For each text its labels, all of them in `labels`.
    """
    if multiple:
        learned = [_one_label(rows, np.array([label in answer for answer in answers])) for label in labels]
        weight, bias = np.stack([item[0] for item in learned], axis=1), np.array([item[1] for item in learned])
    else:
        places = {label: place for place, label in enumerate(labels)}
        weight, bias = _one_of_all(rows, np.array([places[answer[0]] for answer in answers]))
    return Head(control, tuple(labels), multiple, weight.astype(np.float32), bias.astype(np.float32))


def _one_label(rows: csr_matrix, given: np.ndarray) -> tuple[np.ndarray, float]:
    if given.all() or not given.any():
        # As sure as the number of texts allows.
        share = (given.sum() + 0.5) / (len(given) + 1)
        return np.zeros(rows.shape[1]), float(np.log(share / (1 - share)))
    model = _fitted(rows, given)
    return model.coef_[0], float(model.intercept_[0])


def _one_of_all(rows: csr_matrix, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model = _fitted(rows, places)
    if len(model.classes_) == 2:
        # Scikit-learn gives one column for two classes; half of it each way gives the same probabilities.
        return np.stack([-model.coef_[0], model.coef_[0]], axis=1) / 2, np.array([-1, 1]) * model.intercept_[0] / 2
    return model.coef_.T, model.intercept_


def _fitted(rows: csr_matrix, targets: np.ndarray):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A head that is nearly there is as good as one that is there.
        warnings.simplefilter('ignore', ConvergenceWarning)
        return LogisticRegression(C=_COST, max_iter=_ITERATIONS).fit(rows, targets)
