"""What models said about tasks, as columns of numbers: probabilities, embedding, score and scores of regions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from label_studio.ml_host.sampling.parts import Column, column
from ml_plugins.types import Prediction

EMBEDDING, SCORE, REGIONS, TOKENS = 'embedding', 'score', 'regions', 'tokens'
# Marks a row that says that what was said before counts no more.
FORGOTTEN = 'forgotten'
# Before the name of a control; of a member's probabilities, its number follows.
PROBABILITIES, MEMBERS = 'p:', 'm:'
_LARGEST = float(np.finfo(np.float16).max)
# Controls that say something of the whole task; what they say is no region.
_WHOLE = frozenset({'choices', 'taxonomy', 'textarea', 'rating', 'number', 'datetime', 'pairwise', 'ranker'})


@dataclass(frozen=True)
class Rows:
    """Numbers of some tasks.

    Attributes:
        task_ids: Ascending, each once.
        stamps: When each was computed, in nanoseconds; of two rows of a task the later one counts.
        dense: Shape (n, width), by name; a row of NaN says that there is nothing.
        ragged: Offsets (n + 1) and values, by name.
    """

    task_ids: np.ndarray
    stamps: np.ndarray
    dense: Mapping[str, np.ndarray] = field(default_factory=dict)
    ragged: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def columns(self) -> dict[str, Column]:
        """As a file takes them."""
        return {
            'task_ids': column(self.task_ids),
            'stamps': column(self.stamps),
            **{f'd:{name}': column(values) for name, values in self.dense.items()},
            **{f'o:{name}': column(offsets) for name, (offsets, _) in self.ragged.items()},
            **{f'v:{name}': column(values) for name, (_, values) in self.ragged.items()},
        }


def rows_of(predictions: Sequence[tuple[int, Prediction]]) -> Rows:
    """The numbers of predictions; the last one counts for a task that comes twice.

    Numbers of another width than most have are left out: a control has one number of classes, a model one of features.
    """
    found = dict(sorted(dict(predictions).items()))
    said = list(found.values())
    given: dict[str, list[Any]] = {SCORE: [None if item.score is None else [item.score] for item in said]}
    probabilities = [item.probabilities or {} for item in said]
    given |= {f'{PROBABILITIES}{name}': values for name, values in _by_control(probabilities).items()}
    for number in range(max((len(item.members or ()) for item in said), default=0)):
        members = [(item.members or ())[number] if number < len(item.members or ()) else {} for item in said]
        given |= {f'{MEMBERS}{number}:{name}': values for name, values in _by_control(members).items()}
    given[EMBEDDING] = [item.embedding for item in said]
    dense = {name: rows for name, values in given.items() if (rows := _dense(values)) is not None}
    task_ids = np.fromiter(found, dtype=np.int64, count=len(found))
    stamps = np.full(len(found), time.time_ns(), dtype=np.int64)
    ragged = {REGIONS: _ragged(_scores_of_regions(said)), TOKENS: _ragged([item.log_probabilities for item in said])}
    return Rows(task_ids, stamps, dense, {name: values for name, values in ragged.items() if len(values[1])})


def forgotten(task_ids: np.ndarray) -> Rows:
    """Rows that take back what was said of some tasks; ascending numbers, each once."""
    stamps = np.full(len(task_ids), time.time_ns(), dtype=np.int64)
    return Rows(task_ids, stamps, {FORGOTTEN: np.ones((len(task_ids), 1), dtype=np.float16)})


def _by_control(given: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [item.get(name) for item in given] for name in {name for item in given for name in item}}


def _dense(values: Sequence[Any]) -> np.ndarray | None:
    rows = [None if value is None else _flat(value) for value in values]
    widths = [len(row) for row in rows if row is not None and len(row)]
    if not widths:
        return None
    width = max(set(widths), key=widths.count)
    found = np.full((len(rows), width), np.nan, dtype=np.float16)
    for number, row in enumerate(rows):
        if row is not None and len(row) == width:
            found[number] = row
    return found


def _flat(value: Any) -> np.ndarray | None:
    """Any numbers as one row; None for what is none."""
    try:
        # Tensors and lists come, too.
        row = np.array(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    # What does not fit into 16 bits becomes the largest number that does.
    row[~np.isfinite(row)] = np.nan
    return np.clip(row, -_LARGEST, _LARGEST)


def _ragged(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of rows of different lengths."""
    rows = [None if value is None else _flat(value) for value in values]
    rows = [np.empty(0) if row is None else row for row in rows]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return offsets, np.concatenate([np.empty(0), *rows]).astype(np.float16)


def _scores_of_regions(said: Sequence[Prediction]) -> list[list[Any]]:
    """Scores of boxes, polygons, spans and the like; none where the model makes no such thing."""
    return [
        [region.score for region in item.regions if region.score is not None and region.type not in _WHOLE]
        for item in said
    ]
