"""Turn what a backend returned into what may leave its process: plain values and numpy arrays."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np

from ml_plugins.types import Prediction, Region


def plain(answer: Any) -> Any:
    """An answer in plain values and numpy arrays, where the plugin's own can be turned into them."""
    if not isinstance(answer, Prediction):
        return answer
    return Prediction(
        regions=[_plain_region(region) for region in answer.regions],
        score=_plain_number(answer.score),
        probabilities=_plain_arrays(answer.probabilities),
        embedding=_plain_array(answer.embedding),
        members=[_plain_arrays(member) for member in answer.members] if answer.members is not None else None,
        log_probabilities=_plain_array(answer.log_probabilities),
    )


def _plain_arrays(given: Any) -> Any:
    return {name: np.asarray(value) for name, value in given.items()} if given is not None else None


def _plain_array(given: Any) -> Any:
    return np.asarray(given) if given is not None else None


def _plain_region(region: Any) -> Any:
    if not isinstance(region, Region):
        return region
    content = {'value': dict(region.value), 'extra': dict(region.extra), 'score': _plain_number(region.score)}
    with contextlib.suppress(TypeError, ValueError):
        # What JSON cannot hold is left for the server to refuse, with the region's number in the reason.
        content |= json.loads(json.dumps({'value': content['value'], 'extra': content['extra']}))
    return Region(region.from_name, region.to_name, region.type, id=region.id, **content)


def _plain_number(value: Any) -> Any:
    try:
        return value if value is None or isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return value
