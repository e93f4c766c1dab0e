"""What goes wrong when a task is opened: it opens all the same, and the page says why there is no prediction."""

import time

import pytest
from django.db import OperationalError

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import FailureRecord
from label_studio.ml_host.prelabeling import on_open
from label_studio.ml_host.upstream import Task
from ml_plugins import Prediction, TaskFailure
from ml_plugins.registry import registry
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db(transaction=True)


class PickyBackend(ConstantBackend):
    """Refuses tasks by what stands in their data."""

    def predict(self, tasks, interaction=None):
        return [self._answer(task) for task in tasks]

    def _answer(self, task):
        control = self.label_config.control('Choices', 'Image')
        if 'unreadable' in task.data:
            return TaskFailure(task.id, f'Task {task.id}: field "image" answers 404')
        if 'rubbish' in task.data:
            return Prediction([control.choices('no such label')])
        return Prediction([control.choices('cat')])


@pytest.fixture
def picky(project, owner, inline_plugins):
    inline_plugins('picky', PickyBackend)
    services.enable(project, 'picky', owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def open_task(api, project):
    def opened(**data):
        task = Task.objects.create(project=project, data={'image': 'https://example.org/a.jpg', **data})
        return task, again(task)

    def again(task):
        response = api.get(f'/api/tasks/{task.pk}/')
        assert response.status_code == 200, response.content
        return response.json()['predictions']

    opened.again = again
    return opened


def records(count):
    end = time.monotonic() + 5
    while True:
        found = list(FailureRecord.objects.order_by('id'))
        if len(found) >= count or time.monotonic() > end:
            time.sleep(0.2)  # one too many would come now
            return list(FailureRecord.objects.order_by('id'))
        time.sleep(0.05)


def test_a_task_that_cannot_be_read_is_noted_once(picky, open_task, kept_failures):
    task, predictions = open_task(unreadable=True)
    assert predictions == []
    other, _ = open_task(unreadable=True)
    open_task.again(task)
    found = records(2)
    assert [(item.stage, item.error, item.project) for item in found] == [
        ('task', f'Task {other.pk}: field "image" answers 404', picky),
        ('task', f'Task {task.pk}: field "image" answers 404', picky),
    ]


def test_a_refused_prediction_is_on_record_once(picky, open_task, kept_failures):
    task, predictions = open_task(rubbish=True)
    assert predictions == []
    (found,) = records(1)
    assert found.stage == 'predict'
    assert 'no such label' in found.error and str(task.pk) in found.error


def test_a_task_that_cannot_be_read_is_no_defect_of_the_plugin(picky, open_task):
    for _ in range(4):
        open_task(unreadable=True)
    assert len(open_task()[1]) == 1


def test_a_task_opens_when_its_prediction_cannot_be_stored(picky, open_task, monkeypatch):
    def full(*args):
        raise OperationalError('database or disk is full')

    monkeypatch.setattr(on_open, 'store', full)
    task, predictions = open_task()
    assert predictions == []
    monkeypatch.undo()
    assert len(open_task.again(task)) == 1


def test_a_backend_that_failed_to_import_once_is_not_lost(picky, open_task, monkeypatch):
    plugin = registry.get('picky')

    def missing():
        raise ImportError('no engine')

    monkeypatch.setattr(plugin, 'backend_class', missing)
    assert open_task()[1] == []
    monkeypatch.undo()
    assert plugin.name in [item.name for item in registry.usable()]
    from ml_plugins.failures import LOAD_STAGES, failure_log

    assert failure_log.of('picky')[-1].stage not in LOAD_STAGES
    assert len(open_task()[1]) == 1
