"""What models say about tasks, on its way into the answer stores: from bulk runs at once, from opened tasks by and by.

Nothing here may cost anybody a prediction: what cannot be written is computed again when it is needed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence

import numpy as np

from label_studio.ml_host.sampling.homes import store_of, stores
from label_studio.ml_host.sampling.rows import rows_of
from ml_plugins.types import Prediction

logger = logging.getLogger(__name__)

# Answers of opened tasks are written together with those of so many seconds.
FLUSH_SECONDS = 2.0

_lock = threading.Lock()
_waiting: dict[tuple[int, str], dict[int, Prediction]] = {}
_timer: threading.Timer | None = None


def keep(project_id: int, label: str, predictions: Sequence[tuple[int, Prediction]]) -> None:
    """Write answers of a version to its store; never raises."""
    try:
        if predictions:
            store_of(project_id, label).append(rows_of(predictions))
    except Exception as error:  # a full disk, or numbers of a model that are none
        logger.warning('Answers of %s on project %s are not kept for active learning: %s', label, project_id, error)


def keep_soon(project_id: int, label: str, predictions: Sequence[tuple[int, Prediction]]) -> None:
    """Write answers of a version by and by, together with others: whoever opens a task waits for no disk."""
    global _timer
    with _lock:
        _waiting.setdefault((project_id, label), {}).update(predictions)
        # The timer of a process that this one was forked from is not here.
        if _timer is None or not _timer.is_alive():
            _timer = threading.Timer(FLUSH_SECONDS, flush)
            _timer.daemon = True
            _timer.start()


def flush() -> None:
    """Write what waits."""
    global _timer
    with _lock:
        waiting = dict(_waiting)
        _waiting.clear()
        _timer = None
    for (project_id, label), found in waiting.items():
        keep(project_id, label, list(found.items()))


def forget(project_id: int, task_ids: Collection[int]) -> None:
    """What any version said of these tasks counts no more; never raises."""
    with _lock:
        for (waits_in, _), found in _waiting.items():
            for task_id in task_ids if waits_in == project_id else ():
                found.pop(task_id, None)
    try:
        for store in stores(project_id):
            store.forget(_numbers(task_ids))
    except Exception as error:  # a full disk
        logger.warning('Answers on changed tasks of project %s are still chosen by: %s', project_id, error)


def kept(project_id: int, label: str, task_ids: Collection[int]) -> set[int]:
    """Which of these tasks the store of a version has answers of."""
    if not task_ids:
        return set()
    numbers = _numbers(task_ids)
    found = store_of(project_id, label).find(numbers)
    return set(numbers[found.known].tolist())


def _numbers(task_ids: Collection[int]) -> np.ndarray:
    return np.unique(np.fromiter(task_ids, dtype=np.int64, count=len(task_ids)))
