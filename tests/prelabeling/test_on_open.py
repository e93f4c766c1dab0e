"""Opening a task predicts it once, in process, within a time budget."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.serving import host
from label_studio.ml_host.upstream import Prediction, Task
from ml_plugins.types import VersionFiles
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db(transaction=True)


def make_task(project, **data):
    return Task.objects.create(project=project, data=data or {'image': 'https://example.org/a.jpg'})


def eventually(check, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.05)
    return False


def statements(captured):
    """What was asked of the database; where a transaction begins and ends is not counted."""
    brackets = ('BEGIN', 'COMMIT', 'SAVEPOINT', 'RELEASE')
    return [item['sql'] for item in captured.captured_queries if not item['sql'].startswith(brackets)]


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


@pytest.fixture(params=['task', 'stream'])
def open_task(request, api, project):
    def opened(task):
        url = f'/api/tasks/{task.pk}/' if request.param == 'task' else f'/api/projects/{project.pk}/next'
        response = api.get(url)
        assert response.status_code == 200, response.content
        return response.json()['predictions']

    return opened


def test_an_opened_task_carries_the_prediction(enabled, open_task, constant):
    task = make_task(enabled)
    predictions = open_task(task)
    assert [item['result'][0]['value'] for item in predictions] == [{'choices': ['cat']}]
    assert predictions[0]['score'] == 0.9
    assert predictions[0]['model_version'] == 'constant-v0'
    task.refresh_from_db()
    assert task.total_predictions == 1
    assert Prediction.objects.get().model_id == ProjectBackend.objects.get().connection_id


def test_opening_again_asks_the_model_no_more(enabled, open_task, constant):
    task = make_task(enabled)
    open_task(task)
    assert len(open_task(task)) == 1
    assert constant.calls == [1]


def test_a_new_version_predicts_again_and_hides_the_old_prediction(enabled, open_task, constant, tmp_path, monkeypatch):
    task = make_task(enabled)
    open_task(task)
    row = ProjectBackend.objects.get()
    row.in_service = ModelVersion.objects.create(project=enabled, backend='constant', number=1, directory='none')
    row.save()
    monkeypatch.setattr('label_studio.ml_host.serving.host._version_files', lambda version: None)
    # Until it is loaded the version before answers, and says so.
    seen = []
    assert eventually(
        lambda: (
            seen.append([item['model_version'] for item in open_task(task)])
            or len(seen[-1]) != 1
            or seen[-1] == ['constant-v1']
        )
    )
    assert seen[-1] == ['constant-v1']
    assert all(shown == ['constant-v0 (old version)'] for shown in seen[:-1])


class Silent(ConstantBackend):
    """Has nothing to say once there is a version."""

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks] if self.version else super().predict(tasks, interaction)


def test_a_prediction_of_an_older_version_says_so_and_stays_as_it_is(
    project, owner, api, inline_plugins, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        'label_studio.ml_host.serving.host._version_files', lambda version: VersionFiles(1, tmp_path, {})
    )
    inline_plugins('silent', Silent)
    row = services.enable(project, 'silent', owner)
    task = make_task(project)

    def shown():
        return [item['model_version'] for item in api.get(f'/api/tasks/{task.pk}/').json()['predictions']]

    assert shown() == ['silent-v0']
    Prediction.objects.create(task=task, project=project, model_version='imported', result=[])
    row.in_service = ModelVersion.objects.create(project=project, backend='silent', number=1, directory='none')
    row.save()
    assert sorted(shown()) == ['imported', 'silent-v0 (old version)']
    assert eventually(lambda: host.is_served(project.pk, 'silent', 1))
    assert sorted(shown()) == ['imported', 'silent-v0 (old version)']
    # Also where another model is selected, or none.
    project.refresh_from_db()
    for fields in ({'model_version': 'imported'}, {'show_collab_predictions': False}):
        type(project).objects.filter(pk=project.pk).update(**fields)
        assert sorted(shown()) == ['imported', 'silent-v0 (old version)']
    assert api.get(f'/api/projects/{project.pk}/next').json()['predictions'] == []
    assert sorted(Prediction.objects.values_list('model_version', flat=True)) == ['imported', 'silent-v0']


def test_at_most_three_more_statements_than_when_disabled(project, owner, api, open_task, constant):
    tasks = [make_task(project) for _ in range(2)]
    open_task(tasks[0])
    with CaptureQueriesContext(connection) as disabled:
        open_task(tasks[0])
    Task.objects.all().update(is_labeled=False)
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    open_task(tasks[0])
    Prediction.objects.all().delete()
    with CaptureQueriesContext(connection) as enabled:
        assert len(open_task(tasks[0])) == 1
    assert len(statements(enabled)) - len(statements(disabled)) <= 3, statements(enabled)


def test_a_slow_model_delays_nobody_and_its_prediction_is_stored_later(
    project, owner, open_task, inline_plugins, settings
):
    class Slow(ConstantBackend):
        def predict(self, tasks, interaction=None):
            time.sleep(1.0)
            return super().predict(tasks, interaction)

    inline_plugins('slow', Slow)
    settings.ML_OPEN_BUDGET = 0.2
    services.enable(project, 'slow', owner)
    project.refresh_from_db()
    task = make_task(project)
    assert open_task(task) == []
    assert eventually(lambda: Prediction.objects.filter(task=task).exists())
    assert len(open_task(task)) == 1


@pytest.mark.parametrize('answer', [RuntimeError('boom'), ['rubbish'], [], None])
def test_a_failing_model_leaves_the_task_open(project, owner, open_task, inline_plugins, answer):
    class Broken(ConstantBackend):
        def predict(self, tasks, interaction=None):
            if isinstance(answer, Exception):
                raise answer
            return answer

    inline_plugins('broken', Broken)
    services.enable(project, 'broken', owner)
    project.refresh_from_db()
    assert open_task(make_task(project)) == []


def test_a_disabled_backend_is_not_asked(enabled, owner, open_task, constant):
    services.disable(enabled, 'constant', owner)
    enabled.refresh_from_db()
    assert open_task(make_task(enabled)) == []
    assert constant.calls == []
