"""Tasks as classes of the SDK get them, and what they return as predictions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ml_plugins.exceptions import PredictionError
from ml_plugins.types import Example, Prediction, Region, Task

logger = logging.getLogger(__name__)

_REGION_KEYS = frozenset({'from_name', 'to_name', 'type', 'value', 'score', 'id'})


def task_dict(task: Task, annotations: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A task in the format of Label Studio's API."""
    return {
        'id': task.id,
        'data': dict(task.data),
        'meta': dict(task.meta),
        'project': task.project_id,
        'annotations': [dict(item) for item in annotations],
        'predictions': [],
    }


def annotation_dicts(example: Example) -> list[dict[str, Any]]:
    """The annotations of a task in the format of Label Studio's API."""
    return [
        {
            'id': annotation.id,
            'result': [dict(region) for region in annotation.result],
            'completed_by': annotation.user_id,
            'ground_truth': annotation.ground_truth,
            'was_cancelled': False,
            'task': example.task.id,
            'project': example.task.project_id,
        }
        for annotation in example.annotations
    ]


def predictions(returned: Any, count: int, who: str) -> list[Prediction | None]:
    """What `predict` returned, one item a task.

    Raises:
        PredictionError: It is something else than one answer a task.
    """
    items = _items(returned, who)
    if not items:
        return [None] * count
    if len(items) != count:
        raise PredictionError(f'{who}.predict returned {len(items)} results for {count} tasks')
    return [_prediction(item, who) for item in items]


def _items(returned: Any, who: str) -> list[Any]:
    if returned is None:
        return []
    if hasattr(returned, 'predictions'):
        returned = returned.predictions
    elif isinstance(returned, Mapping):
        if 'predictions' not in returned:
            raise PredictionError(f'{who}.predict returned a dictionary without "predictions": {sorted(returned)}')
        returned = returned['predictions']
    if isinstance(returned, (str, bytes)) or not hasattr(returned, '__iter__'):
        raise PredictionError(f'{who}.predict returned {type(returned).__name__}; it must return a list of predictions')
    return list(returned)


def _prediction(item: Any, who: str) -> Prediction | None:
    item = plain(item)
    if isinstance(item, list):
        # Several answers to one task: the one that the model is surest of.
        item = max((one for one in item if one), key=lambda one: one.get('score') or 0.0, default=None)
    if not item:
        return None
    if not isinstance(item, dict) or not isinstance(item.get('result', []), list):
        raise PredictionError(f'{who}.predict returned {item!r:.200}; each item must be a dict with a list "result"')
    regions = [_region(region, who) for region in item.get('result', [])]
    return Prediction([region for region in regions if region], _share(item.get('score'), who))


def _region(item: Any, who: str) -> Region | None:
    if not isinstance(item, dict):
        raise PredictionError(f'{who}.predict returned a region that is a {type(item).__name__}, not a dictionary')
    if item.get('type') == 'relation':
        logger.info('%s: a relation between regions is left out', who)
        return None
    missing = [key for key in ('from_name', 'to_name', 'type', 'value') if key not in item]
    if missing:
        raise PredictionError(f'{who}.predict returned a region without "{missing[0]}"')
    extra = {key: value for key, value in item.items() if key not in _REGION_KEYS}
    number = item.get('id')
    return Region(
        item['from_name'],
        item['to_name'],
        item['type'],
        item['value'],
        _share(item.get('score'), who),
        None if number is None else str(number),
        extra,
    )


def _share(score: Any, who: str) -> float | None:
    """A score in 0..1; the SDK let any number through, which nothing can be compared with."""
    if score is None:
        return None
    try:
        number = float(score)
    except (TypeError, ValueError):
        raise PredictionError(f'{who}.predict returned the score {score!r}, which is no number') from None
    if math.isfinite(number) and 0.0 <= number <= 1.0:
        return number
    logger.info('%s: the score %s is not in 0..1 and is left out', who, score)
    return None


def plain(value: Any) -> Any:
    """The same without arrays, numbers of numpy, versions and objects of pydantic."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, 'model_dump'):
        return plain(value.model_dump())
    if hasattr(value, '_dict') and hasattr(value, 'from_tag'):
        return plain(value._dict())
    if hasattr(value, 'tolist'):
        return plain(value.tolist())
    if isinstance(value, (bool, int, float, str)):
        return value
    # A version, a path, a date.
    return str(value)
