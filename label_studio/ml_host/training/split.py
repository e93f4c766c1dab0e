"""Which labeled tasks are held out for measuring: a hash picks them, unless training would be left without a label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from ml_plugins.types import Annotation

# Of fewer labeled tasks nothing is held out: learning needs all of them, and a share of so few measures nothing.
FEWEST_TO_HOLD_OUT = 10
_BLOCK = 10

Label = tuple[str, str]
# What a task has to which no label applies; telling it from the others has to be learned too.
_NO_LABEL: frozenset[Label] = frozenset({('', '')})


def place_of(project_id: int, task_id: int) -> float:
    """A task's fixed place in 0..1; it depends on nothing but the two numbers.

    Of ten tasks with consecutive numbers one lies in each tenth, which one a hash says: also of a project's first few
    tasks some are held out.
    """
    block, place = divmod(task_id, _BLOCK)
    return (_tenths(project_id, block)[place] + _hash(project_id, task_id)) / _BLOCK


@lru_cache(maxsize=1024)
def _tenths(project_id: int, block: int) -> tuple[int, ...]:
    """The tenth of each of ten consecutive tasks."""
    tasks = range(block * _BLOCK, (block + 1) * _BLOCK)
    order = sorted(tasks, key=lambda task_id: _hash(project_id, task_id))
    return tuple(order.index(task_id) for task_id in tasks)


def _hash(project_id: int, task_id: int) -> float:
    digest = hashlib.sha256(f'{project_id}:{task_id}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64


def labels_of(annotation: Annotation) -> frozenset[Label]:
    """The labels that an annotation gives, each with its control."""
    controls = {str(region.get('from_name', '')) for region in annotation.result}
    found = {(control, label) for control in controls for label in annotation.labels(control)}
    return frozenset(found) or _NO_LABEL


def needed_for_training(
    picked: Iterable[tuple[float, int, frozenset[Label]]], others: Iterable[frozenset[Label]]
) -> frozenset[int]:
    """Tasks that are not held out although the hash picks them, so that each label can be learned.

    Of a label whose tasks are all picked, the one that the hash would have picked last is needed: the same one as long
    as no other task gets the label.

    Args:
        picked: Place, number and labels of the tasks that the hash picks.
        others: Labels of the tasks that it does not; read only as far as necessary.
    """
    last: dict[Label, tuple[float, int]] = {}
    for place, task_id, labels in picked:
        for label in labels:
            last[label] = max(last.get(label, (-1.0, 0)), (place, task_id))
    if last:
        for labels in others:
            for label in labels:
                last.pop(label, None)
            if not last:
                break
    return frozenset(task_id for _, task_id in last.values())
