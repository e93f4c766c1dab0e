"""What networks give, arrays of numbers, as what the converters take; used where an author says nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_plugins.adapters.converting import Naming
from ml_plugins.adapters.plain_numbers import array, is_array
from ml_plugins.adapters.values import Answer, Box, Mask
from ml_plugins.exceptions import PredictionError

_ADDS_UP = 1e-3


@dataclass(frozen=True)
class Reading:
    """How numbers of a network are to be read.

    Attributes:
        logits: Whether they are before the softmax; None to see it in numbers that do not add up to 1.
        seen_size: Width and height of the picture as the network saw it; None where it saw it as it is.
        size: Width and height of the picture itself.
    """

    naming: Naming
    logits: bool | None = True
    seen_size: tuple[int, int] | None = None
    size: tuple[int, int] | None = None


def read(output: Any, reading: Reading) -> Any:
    """One item of a batch as a value for the control. Raises `PredictionError` where nothing fits."""
    if isinstance(output, Mapping):
        return _read_named(output, reading)
    row = array(output)
    kind = reading.naming.control.type
    if kind in ('number', 'rating'):
        return row
    if kind == 'choices' and row.ndim == 1:
        return probabilities(row, reading)
    if kind in ('brushlabels', 'brush') and row.ndim in (2, 3):
        return _pixels(row, reading)
    raise PredictionError(
        f'the model gave an array of shape {row.shape}, and nothing is known that makes '
        f'<{reading.naming.control.tag}> of it; override postprocess()'
    )


def probabilities(row: np.ndarray, reading: Reading) -> np.ndarray:
    """Probabilities of a row of numbers, of shape (labels,)."""
    row = row.astype(np.float64)
    if not np.isfinite(row).all():
        raise PredictionError(f'the model gave {row.tolist()}, which are not all finite numbers')
    if reading.naming.control.is_multiple:
        return 1 / (1 + np.exp(-np.clip(row, -500, 500))) if reading.logits else row
    adds_up = abs(row.sum() - 1) < _ADDS_UP and row.min() >= 0
    if reading.logits is False or (reading.logits is None and adds_up):
        return row
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def rows_of(outputs: Any, count: int) -> Sequence[Any]:
    """What a model returned for a batch, one item an input: of each array its row.

    Raises:
        PredictionError: It is something else, or has another number of rows.
    """
    if isinstance(outputs, Mapping):
        parts = {name: rows_of(value, count) for name, value in outputs.items() if is_array(value)}
        return [{name: rows[place] for name, rows in parts.items()} for place in range(count)]
    if isinstance(outputs, (list, tuple)) or is_array(outputs):
        if len(outputs) != count:
            raise PredictionError(f'the model returned {len(outputs)} results for {count} inputs')
        return [outputs[place] for place in range(count)]
    raise PredictionError(
        f'the model returned {type(outputs).__name__}; it must be an array with a row an input, a list or a dict'
    )


def _read_named(output: Mapping[str, Any], reading: Reading) -> Any:
    if 'boxes' in output:
        return _detected(output, reading)
    for name in ('logits', 'out'):
        if name in output:
            value = read(output[name], reading)
            return Answer(value, embedding=array(output['embedding'])) if 'embedding' in output else value
    # Probabilities by label, as converted estimators give them.
    return {str(name): share for name, share in output.items()}


def _detected(output: Mapping[str, Any], reading: Reading) -> list[Box] | list[Mask]:
    """What torchvision's detectors give: boxes, labels as numbers, scores, and masks where there are any."""
    boxes, count = array(output['boxes']).reshape(-1, 4), len(output['boxes'])
    names = [reading.naming.name_of(int(place)) for place in array(output['labels'])] if 'labels' in output else None
    scores = array(output['scores']).tolist() if 'scores' in output else [None] * count
    labels = names or [''] * count
    if reading.naming.control.type in ('brushlabels', 'brush') and 'masks' in output:
        planes = array(output['masks'])
        return [Mask(plane, label, score) for plane, label, score in zip(planes, labels, scores, strict=True)]
    seen, size = reading.seen_size, reading.size
    if seen is not None and size is not None:
        boxes = boxes * np.array([size[0] / seen[0], size[1] / seen[1]] * 2)
    return [Box(*box, label, score) for box, label, score in zip(boxes.tolist(), labels, scores, strict=True)]


def _pixels(row: np.ndarray, reading: Reading) -> Any:
    """Masks of the numbers that each pixel has for each label; with one more than labels, the first is for none."""
    names = reading.naming.names
    if row.ndim == 2 or row.shape[0] == 1:
        plane = row if row.ndim == 2 else row[0]
        if plane.dtype.kind != 'f':
            return plane
        return Mask(plane > 0 if reading.logits is not False else plane)
    first = row.shape[0] - len(names)
    if first not in (0, 1):
        raise PredictionError(
            f'the model gave {row.shape[0]} planes for {len(names)} labels ({", ".join(names)}); set labels on the '
            'backend to their names, in order'
        )
    best = row.argmax(axis=0)
    return [Mask(best == place + first, name) for place, name in enumerate(names) if (best == place + first).any()]
