"""Predict a task while it is being opened, within a time budget; what comes later is stored when it arrives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from label_studio.ml_host.enabling import gate
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling.store import Source, source_of, store
from label_studio.ml_host.sdk.gateway import is_answering
from label_studio.ml_host.serving import host
from label_studio.ml_host.task_data.resolver import plugin_task
from ml_plugins.exceptions import MLPluginError
from ml_plugins.failures import PluginFailure, Stage, failure_log, record_failure
from ml_plugins.runtime import Priority
from ml_plugins.task_data import without_task
from ml_plugins.types import Prediction, TaskFailure

logger = logging.getLogger(__name__)

_lock = threading.Lock()
# Tasks that are being predicted, by task and version: a second open waits for the same answer.
_in_flight: dict[tuple[int, Source], Future] = {}
_late = ThreadPoolExecutor(max_workers=2, thread_name_prefix='late-prediction')


def selected_backend(project, task_id: int | None = None) -> ProjectBackend | None:
    """The plugin that predicts when a task of the project is opened: the one selected on upstream's Model page."""
    if not project.show_collab_predictions:
        return None
    return selected_of(gate.active_of_project(project.pk, task_id), project)


def selected_of(rows: Iterable[ProjectBackend], project) -> ProjectBackend | None:
    """The same one among enabled plugins of the project that are known already."""
    if not project.show_collab_predictions:
        return None
    for row in rows:
        if row.connection is not None and row.connection.title == project.model_version:
            return row
    return None


def predict(task, row: ProjectBackend):
    """Predict an opened task with the version in service, or with the one before while that is still being loaded.

    Args:
        task: Upstream's task, with its project loaded.
        row: From `selected_backend`.

    Returns:
        Upstream's stored prediction, or None when there is nothing to say, the model failed, or time is up.
    """
    if is_answering.get():
        # A model asked for the task: it must not wait for itself.
        return None
    user = _user()
    try:
        if host.needs_training(row):
            return None
        row = host.at_hand(row, task.project.label_config)
        source = source_of(row)
        future, is_first = _submit(task, row, source)
    except MLPluginError as error:
        logger.info('Task %s opens without a prediction of %s: %s', task.pk, row.backend, error)
        return None
    except Exception as error:
        # Importing the plugin's backend may raise anything; people go on labeling. Not the stage of that name, which
        # is of the server's start: what failed there is not used until the next one.
        record_failure(row.backend, Stage.CHECK, error, row.project_id)
        return None
    try:
        answer = future.result(timeout=settings.ML_OPEN_BUDGET)[0]
    except FutureTimeoutError:
        logger.info('Task %s opens without a prediction of %s: it is not ready in time', task.pk, row.backend)
        if is_first:
            future.add_done_callback(lambda done: _late.submit(_store_late, task.pk, row.backend, source, done, user))
        return None
    except Exception as error:
        logger.info('Task %s opens without a prediction of %s: %s', task.pk, row.backend, error)
        _forget(task.pk, source)
        return None
    try:
        return _store(task.pk, row.backend, source, answer, user) if is_first else _stored(task.pk, source)
    except DatabaseError as error:
        # A full disk, for one; the task can still be looked at.
        logger.error('The prediction of task %s could not be stored: %s', task.pk, error)
        return None


def _submit(task, row: ProjectBackend, source: Source) -> tuple[Future, bool]:
    key = (task.pk, source)
    with _lock:
        if key in _in_flight:
            return _in_flight[key], False
        spec = host.spec_for(row, task.project.label_config)
        future = host.runtime().submit(spec, [plugin_task(task)], priority=Priority.OPEN)
        _in_flight[key] = future
        return future, True


def _forget(task_id: int, source: Source) -> None:
    with _lock:
        _in_flight.pop((task_id, source), None)


def _store(task_id: int, backend: str, source: Source, answer: Prediction | TaskFailure | None, user):
    try:
        if isinstance(answer, TaskFailure):
            reason = f'Task {task_id}: {without_task(task_id, answer.reason)}'
            failure_log.record(PluginFailure(backend, Stage.TASK, reason, project_id=source.project_id))
        if not isinstance(answer, Prediction):
            return None
        rows = store(source, [(task_id, answer)], user)
        # A bulk run may have been quicker.
        return rows[0] if rows else _stored(task_id, source)
    finally:
        _forget(task_id, source)


def _user():
    """Who opens the task: upstream notes it as who updated the task."""
    from label_studio.ml_host.upstream import get_current_request

    return getattr(get_current_request(), 'user', None)


def _stored(task_id: int, source: Source):
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    found = StoredPrediction.objects.filter(task_id=task_id, model_version=source.label)
    return found.order_by('-id').first()


def _store_late(task_id: int, backend: str, source: Source, future: Future, user) -> None:
    from label_studio.ml_host.upstream import Task

    close_old_connections()
    try:
        if future.exception() is None and Task.objects.filter(pk=task_id).exists():
            _store(task_id, backend, source, future.result()[0], user)
    except Exception:
        logger.exception('The late prediction of task %s could not be stored', task_id)
    finally:
        _forget(task_id, source)
        close_old_connections()
