"""Ask the model and put its answers into the caller's format."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from typing import Any

from django.conf import settings

from label_studio.ml_host.serving import host
from label_studio.ml_host.serving.service import simple
from label_studio.ml_host.serving.service.body import Body, Item
from label_studio.ml_host.serving.service.errors import (
    BackendFailedError,
    ServiceError,
    TooLateError,
    UnusableDataError,
)
from label_studio.ml_host.serving.service.files import PublicFiles, RequestFiles
from label_studio.ml_host.serving.service.targets import Target
from label_studio.ml_host.task_data.resolver import HostTaskFiles, files_of_project, task_from_data
from ml_plugins.exceptions import DeadlineExceededError, MLPluginError, TaskDataError
from ml_plugins.failures import describe
from ml_plugins.runtime import Priority
from ml_plugins.types import Prediction, Task, TaskFailure

Answer = Prediction | TaskFailure | None
FORMATS = ('', 'label-studio', 'simple')


def answer(target: Target, body: Body, style: str, is_anonymous: bool) -> dict[str, Any]:
    """Predict a request's items.

    Returns:
        ``backend``, ``project`` and ``model_version``; for a single item its prediction beside them, for a list
        ``predictions`` with one object an item, which is ``{"error": …}`` where an item could not be predicted.

    Raises:
        ServiceError: A single item, or every one, failed; also when time is up.
        MLPluginError: The queue is full or the backend rests.
    """
    if style not in FORMATS:
        raise ServiceError(f'"format" must be "simple" or "label-studio", not "{style[:40]}".')
    project = target.row.project
    files = PublicFiles(project) if is_anonymous else files_of_project(project)
    with ExitStack() as stack:
        tasks = [_task(item, files, stack) for item in body.items]
        answers = _predict(target, tasks)
    envelope = {'backend': target.row.backend, 'project': project.pk, 'model_version': target.label}
    if body.is_single:
        if isinstance(answers[0], TaskFailure):
            raise UnusableDataError(_without_task(answers[0].reason))
        return envelope | _formatted(answers[0], style)
    return envelope | {'predictions': [_item(one, style) for one in answers]}


def _task(item: Item, files: HostTaskFiles, stack: ExitStack) -> Task:
    task = task_from_data(None, item.data, files)
    own = stack.enter_context(RequestFiles(files, item.contents))
    return Task(id=None, data=task.data, project_id=task.project_id, files=own)


def _predict(target: Target, tasks: Sequence[Task]) -> list[Answer]:
    seconds = settings.ML_PREDICT_SERVICE_TIMEOUT
    future = host.runtime().submit(target.spec, tasks, priority=Priority.OPEN, deadline=time.monotonic() + seconds)
    try:
        return future.result(timeout=seconds)
    except (FutureTimeoutError, DeadlineExceededError) as error:
        future.cancel()
        raise TooLateError(f'{target.row.backend} did not answer within {seconds:g} s.') from error
    except TaskDataError as error:
        raise UnusableDataError(_without_task(str(error))) from error
    except MLPluginError:
        raise
    except Exception as error:
        raise BackendFailedError(
            f'{target.row.backend} failed: {describe(error)}. The traceback stands on the ML backends page.'
        ) from error


def _item(one: Answer, style: str) -> dict[str, Any]:
    if isinstance(one, TaskFailure):
        return {'error': {'detail': _without_task(one.reason), 'code': UnusableDataError.code}}
    return _formatted(one, style)


def _formatted(one: Prediction | None, style: str) -> Mapping[str, Any]:
    prediction = one or Prediction()
    if style == 'simple':
        return simple.simplified(prediction)
    return {'result': prediction.result(), 'score': prediction.score}


def _without_task(reason: str) -> str:
    """Items have no number that would mean something to the caller."""
    reason = reason.removeprefix('Task None: ').removeprefix('task None: ')
    return reason[:1].upper() + reason[1:]
