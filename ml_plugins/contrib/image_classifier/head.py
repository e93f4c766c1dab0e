"""The trained part: logistic regression on features, one head for each control."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Strength of the prior on the weights, as in "this much squared weight costs as much as one picture's loss". Features
# outnumber the labeled pictures, so that the classes can nearly always be separated and only the prior keeps
# probabilities honest.
_PRIOR = 3.0
# The bias has next to none: enough to keep it finite for a label that every picture has.
_BIAS_PRIOR = 0.01
_ITERATIONS = 200
THRESHOLD = 0.5


@dataclass(frozen=True)
class Head:
    """Class probabilities from features.

    Attributes:
        control: The control's name.
        labels: What the head knows, in the order of its outputs.
        multiple: One decision for each label instead of one of all labels.
        mean: Of the training features, of shape (size,).
        scale: Their spread, one number for all.
        weight: Of shape (size, labels).
        bias: Of shape (labels,).
    """

    control: str
    labels: tuple[str, ...]
    multiple: bool
    mean: np.ndarray
    scale: float
    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Probabilities of the given labels, of shape (pictures, labels); 0 for labels that the head never saw.

        Labels of the head that are not asked for are left out as if they had not been learned.
        """
        columns = [self.labels.index(label) for label in labels if label in self.labels]
        result = np.zeros((len(features), len(labels)), dtype=np.float64)
        if columns:
            logits = ((features - self.mean) / self.scale) @ self.weight[:, columns] + self.bias[columns]
            places = [place for place, label in enumerate(labels) if label in self.labels]
            result[:, places] = _sigmoid(logits) if self.multiple else _softmax(logits)
        return result


def chosen(row: np.ndarray, multiple: bool) -> list[int]:
    """Indices of the labels that a row of probabilities speaks for."""
    if multiple:
        return [int(index) for index in np.flatnonzero(row >= THRESHOLD)]
    return [int(row.argmax())] if row.max() > 0 else []


def fit_head(
    control: str,
    labels: Sequence[str],
    multiple: bool,
    features: np.ndarray,
    answers: Sequence[Sequence[str]],
    device: str = 'cpu',
) -> Head:
    """Train a head; the same input gives the same head.

    Args:
        features: Of shape (pictures, size).
        answers: For each picture its labels, all of them in `labels`.
    """
    with _one_thread():
        return _fit_head(control, labels, multiple, features, answers, device)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The products are too thin to share, and threads that wait for each other stand still on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fit_head(
    control: str,
    labels: Sequence[str],
    multiple: bool,
    features: np.ndarray,
    answers: Sequence[Sequence[str]],
    device: str,
) -> Head:
    import torch
    from torch.nn import functional

    data = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(device)
    # One scale for all features: those that vary little are mostly noise and must not be blown up.
    mean = data.mean(0)
    data = data - mean
    scale = float(data.square().mean().sqrt()) or 1.0
    data = data / scale
    targets = torch.from_numpy(target_matrix(labels, answers)).to(device)
    # By label: the gradient of the other layout takes processors several times as long.
    weight = torch.zeros(len(labels), data.shape[1], device=device, requires_grad=True)
    bias = torch.zeros(len(labels), device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn='strong_wolfe')

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        prior = (_PRIOR * weight.square().sum() + _BIAS_PRIOR * bias.square().sum()) / 2 / len(data)
        total = loss(functional.linear(data, weight, bias), targets, multiple) + prior
        total.backward()
        return total

    optimizer.step(closure)
    mean, weight, bias = (item.detach().cpu().numpy() for item in (mean, weight.T.contiguous(), bias))
    return Head(control, tuple(labels), multiple, mean, scale, weight, bias)


def loss(logits, targets, multiple: bool):
    """Mean loss of a batch; targets of shape (pictures, labels), 1 where a label was given."""
    from torch.nn import functional

    if multiple:
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction='none').sum(1).mean()
    return functional.cross_entropy(logits, targets)


def target_matrix(labels: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """1 where a picture has a label, of shape (pictures, labels)."""
    place = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(answers), len(labels)), dtype=np.float32)
    for row, answer in zip(matrix, answers, strict=True):
        row[[place[label] for label in answer]] = 1
    return matrix


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))
