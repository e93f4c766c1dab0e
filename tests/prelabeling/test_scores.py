"""The Data Manager's score column, its order and filters, and the list of versions, when a plugin is selected."""

import json
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.prelabeling.store import source_of, store
from label_studio.ml_host.upstream import Prediction, Task
from ml_plugins import Prediction as Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return ProjectBackend.objects.select_related('connection', 'in_service').get()


@pytest.fixture
def tasks(project):
    return [Task.objects.create(project=project, data={'image': f'https://example.org/{n}.jpg'}) for n in range(4)]


@pytest.fixture
def listed(api, project):
    """The Data Manager's list of tasks, as its table asks for it."""

    def _listed(ordering=(), filters=()) -> list[tuple[int, float | None]]:
        query = {
            'ordering': list(ordering),
            'filters': {'conjunction': 'and', 'items': list(filters)},
            'hiddenColumns': {'explore': ['tasks:inner_id'], 'labeling': ['tasks:inner_id']},
        }
        response = api.get(f'/api/tasks?project={project.pk}&page=1&page_size=30&query={quote(json.dumps(query))}')
        assert response.status_code == 200, response.content
        return [(task['id'], task['predictions_score']) for task in response.json()['tasks']]

    return _listed


def new_version(row, number: int) -> ProjectBackend:
    row.in_service = ModelVersion.objects.create(
        project=row.project, backend=row.backend, number=number, directory='x', digest='x'
    )
    row.save()
    return row


def predict(row, scores) -> None:
    store(source_of(row), [(task.pk, Answer([], score=score)) for task, score in scores.items()])


def test_the_column_is_filled_though_the_title_is_selected(project, row, tasks, listed):
    predict(row, dict(zip(tasks, (0.3, 0.9, 0.6), strict=False)))
    assert project.model_version == row.connection.title
    assert listed() == [(tasks[0].pk, 0.3), (tasks[1].pk, 0.9), (tasks[2].pk, 0.6), (tasks[3].pk, None)]


def test_a_prediction_knows_its_backend_and_version(project, row, tasks):
    predict(new_version(row, 3), {tasks[0]: 0.5})
    made = Prediction.objects.get()
    assert (made.model, made.model_version, made.project) == (row.connection, 'constant-v3', project)


def test_it_sorts_and_filters(row, tasks, listed):
    predict(row, dict(zip(tasks, (0.3, 0.9, 0.6), strict=False)))
    numbers = [task.pk for task in tasks]
    assert [n for n, _ in listed(['tasks:predictions_score'])] == [numbers[0], numbers[2], numbers[1], numbers[3]]
    assert [n for n, _ in listed(['-tasks:predictions_score'])] == [numbers[1], numbers[2], numbers[0], numbers[3]]
    over = {'filter': 'filter:tasks:predictions_score', 'operator': 'greater', 'type': 'Number', 'value': 0.5}
    assert listed(filters=[over]) == [(numbers[1], 0.9), (numbers[2], 0.6)]


def test_the_version_in_service_comes_before_older_ones(row, tasks, listed):
    predict(new_version(row, 1), {tasks[0]: 0.1, tasks[1]: 0.2})
    predict(new_version(row, 2), {tasks[0]: 0.8})
    assert listed()[:2] == [(tasks[0].pk, 0.8), (tasks[1].pk, 0.2)]
    row.in_service = ModelVersion.objects.get(number=1)
    row.save()
    assert listed()[0] == (tasks[0].pk, 0.1)


def test_the_versions_filter_finds_them(row, tasks, listed):
    predict(new_version(row, 1), {tasks[0]: 0.1, tasks[1]: 0.2})
    predict(new_version(row, 2), {tasks[0]: 0.8})
    column = 'filter:tasks:predictions_model_versions'
    of_first = {'filter': column, 'operator': 'contains', 'type': 'List', 'value': ['constant-v1']}
    assert listed(filters=[of_first]) == [(tasks[0].pk, 0.8), (tasks[1].pk, 0.2)]
    without = {'filter': column, 'operator': 'not_contains', 'type': 'List', 'value': ['constant-v2']}
    assert [n for n, _ in listed(filters=[without])] == [task.pk for task in tasks[1:]]


def test_other_versions_are_left_to_upstream(project, row, tasks, listed):
    for score in (0.2, 0.6):
        Prediction.objects.create(project=project, task=tasks[0], model_version='offline', score=score, result=[])
    project.model_version = 'offline'
    project.save()
    assert listed()[:2] == [(tasks[0].pk, 0.4), (tasks[1].pk, None)]


def test_the_list_costs_as_many_statements_as_with_upstreams_column(project, row, tasks, listed):
    def statements(model_version: str) -> int:
        project.model_version = model_version
        project.save()
        with CaptureQueriesContext(connection) as queries:
            listed(['tasks:predictions_score'])
        return len(queries)

    predict(row, dict.fromkeys(tasks, 0.5))
    extra = statements('constant') - statements('constant-v0')
    more = [Task.objects.create(project=project, data={'image': 'https://example.org/x.jpg'}) for _ in range(20)]
    predict(row, dict.fromkeys(more, 0.7))
    assert statements('constant') - statements('constant-v0') == extra
    # The column is made twice: for the order and for the page.
    assert extra <= 2
