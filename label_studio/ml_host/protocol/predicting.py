"""``/predict``: the tasks of another Label Studio through the resident model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from django.conf import settings

from label_studio.ml_host.models import RemoteProject
from label_studio.ml_host.prelabeling.store import current_label
from label_studio.ml_host.protocol import projects
from label_studio.ml_host.protocol.messages import PredictMessage, RemoteTask
from label_studio.ml_host.serving import host
from label_studio.ml_host.serving.service.errors import (
    BackendFailedError,
    NotTrainedError,
    TooLateError,
    UnusableDataError,
)
from label_studio.ml_host.serving.service.fields import objects_of
from label_studio.ml_host.task_data.resolver import HostTaskFiles, files_of_project, task_from_data
from ml_plugins.exceptions import DeadlineExceededError, MLPluginError, TaskDataError
from ml_plugins.failures import describe
from ml_plugins.label_config import LabelConfig, parse_label_config
from ml_plugins.runtime import Priority
from ml_plugins.types import Prediction, Task, TaskFailure

# The other server may send all tasks of a project at once; so many of them wait for the model at a time.
SLICE = 1000

Answer = Prediction | TaskFailure | None


def predict(remote: RemoteProject, message: PredictMessage) -> dict[str, Any]:
    """Answer ``/predict``.

    Returns:
        ``results`` in the order of the tasks; a task that cannot be predicted has ``error`` and no ``result``, which
        Label Studio passes over, and the others are stored.

    Raises:
        ServiceError: The model has to be trained first, failed, is late, or no task at all can be predicted.
        MLPluginError: The queue is full or the backend rests.
    """
    row = projects.row_of(remote)
    if host.needs_training(row):
        raise NotTrainedError(f'{remote.backend} has to be trained on this project before it can predict.')
    row = host.at_hand(row, remote.project.label_config)
    spec = host.spec_for(row, remote.project.label_config)
    config = parse_label_config(spec.label_config)
    files = files_of_project(remote.project)
    deadline = time.monotonic() + settings.ML_REMOTE_PREDICT_TIMEOUT
    answers: list[Answer] = []
    for start in range(0, len(message.tasks), SLICE):
        part = message.tasks[start : start + SLICE]
        answers += _answers(spec, part, message, config, files, deadline)
    if all(isinstance(answer, TaskFailure) for answer in answers):
        raise UnusableDataError(answers[0].reason)
    label = current_label(row)
    return {'results': [_result(answer, label) for answer in answers], 'model_version': label}


def _answers(
    spec: Any,
    part: Sequence[RemoteTask],
    message: PredictMessage,
    config: LabelConfig,
    files: HostTaskFiles,
    deadline: float,
) -> list[Answer]:
    missing = [_missing(task, config) for task in part]
    tasks = [task_from_data(task.number, task.data, files) for task, why in zip(part, missing, strict=True) if not why]
    found = iter(_predicted(spec, tasks, message, deadline) if tasks else ())
    return [why or next(found) for why in missing]


def _predicted(spec: Any, tasks: list[Task], message: PredictMessage, deadline: float) -> list[Answer]:
    priority = Priority.OPEN if len(message.tasks) == 1 else Priority.BULK
    if message.interaction is not None:
        priority = Priority.INTERACTIVE
    future = host.runtime().submit(spec, tasks, message.interaction, priority, deadline)
    try:
        return future.result(timeout=max(0.0, deadline - time.monotonic()))
    except (FutureTimeoutError, DeadlineExceededError) as error:
        future.cancel()
        seconds = settings.ML_REMOTE_PREDICT_TIMEOUT
        raise TooLateError(f'{spec.plugin} did not answer within {seconds:g} s; send fewer tasks.') from error
    except TaskDataError as error:
        raise UnusableDataError(str(error)) from error
    except MLPluginError:
        raise
    except Exception as error:
        raise BackendFailedError(f'{spec.plugin} failed: {describe(error)}.') from error


def _missing(task: RemoteTask, config: LabelConfig) -> TaskFailure | None:
    """A failure for a task that has nothing of what the label config shows."""
    wanted = objects_of(config)
    if not wanted or any(key in task.data for key in wanted) or settings.DATA_UNDEFINED_NAME in task.data:
        return None
    names = ' and '.join(f'"{key}"' for key in wanted)
    has = ', '.join(f'"{key}"' for key in list(task.data)[:10]) or 'nothing'
    return TaskFailure(task.number, f'Task {task.number}: field {names} is missing; its data has {has}.')


def _result(answer: Answer, label: str) -> dict[str, Any]:
    if isinstance(answer, TaskFailure):
        return {'error': answer.reason, 'model_version': label}
    prediction = answer or Prediction()
    return {'result': prediction.result(), 'score': prediction.score, 'model_version': label}
