"""An HTTP backend in the runtime: batches, the circuit breaker and the checks that plugins have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import close_old_connections

from label_studio.ml_host.http_backends.client import HTTPBackendError, ask
from ml_plugins import MLBackend, Param
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure

_OWN = frozenset({'from_name', 'to_name', 'type', 'value', 'score', 'id'})


def backend_class_of(number: int) -> type[HTTPBackend]:
    """The class for one connected backend."""
    return type('HTTPBackend', (HTTPBackend,), {'connection_id': number, 'max_batch': settings.ML_HTTP_BATCH})


class HTTPBackend(MLBackend):
    """Predicts by ``POST /predict``, as upstream does for one task.

    Attributes:
        connection_id: Number of upstream's row.
    """

    params = (Param('version', '', 'What its predictions are stored under.'),)
    connection_id: ClassVar[int] = 0

    def setup(self) -> None:
        """One that only takes single tasks is found out at its first batch."""
        self._takes_batches = True
        self._said_version: Any = None

    def predict(self, tasks: Sequence[Task], interaction: Interaction | None = None) -> list[Prediction | TaskFailure]:
        """Ask for a batch; a backend that answers with one prediction for several tasks is asked one by one."""
        if not self._takes_batches and len(tasks) > 1:
            return [self.predict([task])[0] for task in tasks]
        answers = self._asked(tasks)
        if len(answers) == 1 < len(tasks):
            self._takes_batches = False
            return self.predict(tasks)
        if len(answers) != len(tasks):
            raise HTTPBackendError(f'It answered {len(answers)} predictions for {len(tasks)} tasks.')
        return [self._read(task, answer) for task, answer in zip(tasks, answers, strict=True)]

    def _asked(self, tasks: Sequence[Task]) -> list[Any]:
        from label_studio.ml_host.upstream import Task as StoredTask
        from label_studio.ml_host.upstream import TaskSimpleSerializer, UpstreamMLBackend

        try:
            connection = UpstreamMLBackend.objects.select_related('project').get(pk=self.connection_id)
            stored = {task.pk: task for task in StoredTask.objects.filter(pk__in=[task.id for task in tasks])}
            # One that was deleted meanwhile still stands for its place.
            sent = [TaskSimpleSerializer(stored[task.id]).data if task.id in stored else _bare(task) for task in tasks]
            body = connection.api._prep_prediction_req(sent, connection.project)
        finally:
            # The answer may take long, and this thread belongs to no request that would give the connection back.
            close_old_connections()
        answer = ask(connection, 'predict', body)
        if not isinstance(answer, Mapping) or not isinstance(answer.get('results'), list):
            raise HTTPBackendError('It answered without a list of "results".')
        return answer['results']

    def _read(self, task: Task, answer: Any) -> Prediction | TaskFailure:
        item = answer[0] if isinstance(answer, list) and answer else answer
        if not isinstance(item, Mapping) or 'result' not in item:
            reason = item.get('error') if isinstance(item, Mapping) else None
            return TaskFailure(task.id, str(reason or 'it was answered without a "result"'))
        self._check_version(item.get('model_version'))
        return Prediction([_region(region) for region in self._regions(item['result'])], _score(item.get('score')))

    def _check_version(self, version: Any) -> None:
        """Predictions of another version must not be stored under the name of the one that the run began with."""
        if version is None or self._said_version in (None, version):
            self._said_version = self._said_version or version
            return
        raise HTTPBackendError(
            f'It answers as version {version} now, and as {self._said_version} before: start a new run.'
        )

    def _regions(self, result: Any) -> Sequence[Mapping[str, Any]]:
        if isinstance(result, list):
            if not all(isinstance(region, Mapping) for region in result):
                raise HTTPBackendError('"result" must be a list of regions.')
            return result
        from label_studio.ml_host.upstream import Prediction as StoredPrediction
        from label_studio.ml_host.upstream import Project

        try:
            # A label or a value alone: upstream knows what it is meant for.
            project = Project.objects.get(pk=self.context.project_id)
            return StoredPrediction.prepare_prediction_result(result, project) or ()
        finally:
            close_old_connections()


def _bare(task: Task) -> dict[str, Any]:
    return {'id': task.id, 'data': dict(task.data)}


def _region(item: Mapping[str, Any]) -> Region:
    try:
        return Region(
            from_name=item['from_name'],
            to_name=item['to_name'],
            type=item['type'],
            value=item.get('value') or {},
            score=item.get('score'),
            id=item.get('id'),
            extra={key: value for key, value in item.items() if key not in _OWN},
        )
    except KeyError as error:
        raise HTTPBackendError(f'A region has no {error}.') from error


def _score(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
