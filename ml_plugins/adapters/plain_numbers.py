"""Numbers as models give them, numpy scalars, arrays of one item, tensors, turned into checked plain ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml_plugins.exceptions import PredictionError

# Softmax in 32 bits adds up to a little more than 1.
_ROUNDING = 1e-3


def number(value: Any, what: str) -> float:
    """A finite number.

    Raises:
        PredictionError: It is none; `what` says whose number it is.
    """
    try:
        # An array or a tensor of one item is a number to whoever wrote the model.
        found = float(value.item() if hasattr(value, 'item') else value)
    except (TypeError, ValueError, RuntimeError):
        raise PredictionError(f'{what} is {value!r}, which is no number') from None
    if not math.isfinite(found):
        raise PredictionError(f'{what} is {found}; it must be finite')
    return found


def share(value: Any, what: str) -> float:
    """A number in 0..1, what rounding adds taken off. Raises `PredictionError`."""
    found = number(value, what)
    if not -_ROUNDING <= found <= 1 + _ROUNDING:
        raise PredictionError(f'{what} is {found:g}, which is not in 0..1; give probabilities, e.g. after a softmax')
    return min(1.0, max(0.0, found))


def share_or_none(value: Any, what: str) -> float | None:
    """A share, or None where there is none. Raises `PredictionError`."""
    return None if value is None else share(value, what)


def array(value: Any) -> np.ndarray:
    """A numpy array of a list, an array or a tensor on any device."""
    if hasattr(value, 'detach'):
        value = value.detach().cpu()
    return np.asarray(value)


def is_array(value: Any) -> bool:
    """Whether a value is an array or a tensor with at least one axis."""
    return hasattr(value, 'shape') and hasattr(value, 'dtype') and len(value.shape) > 0
