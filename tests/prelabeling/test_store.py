"""The one writer of predictions: equal to upstream's own path, exact, and without duplicates."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.prelabeling.store import Source, source_of, store
from label_studio.ml_host.upstream import Prediction as StoredPrediction
from label_studio.ml_host.upstream import Project, Task, UpstreamMLBackend
from ml_plugins import Prediction, Region
from tests.prelabeling.drive import finish, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = Prediction([Region('choice', 'image', 'choices', {'choices': ['cat']}, 0.3)], score=0.1 + 0.2)


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def source(enabled):
    return source_of(ProjectBackend.objects.select_related('in_service').get(project=enabled))


@pytest.fixture
def someone():
    from label_studio.ml_host.upstream import User

    return User.objects.create_user(email='someone@example.org', password='secret-pass')


def facts_of(project):
    """What predicting leaves behind, without numbers and times."""
    tasks = [
        {**model_to_dict(task, exclude=('id', 'project')), 'just_now': timezone.now() - task.updated_at < timedelta(60)}
        for task in Task.objects.filter(project=project).order_by('id')
    ]
    predictions = [
        model_to_dict(row, exclude=('id', 'project', 'task', 'model'))
        for row in StoredPrediction.objects.filter(project=project).order_by('task_id')
    ]
    counts = Project.objects.with_counts().get(pk=project.pk)
    return {
        'tasks': tasks,
        'predictions': predictions,
        'total': (counts.task_number, counts.total_predictions_number, counts.total_annotations_number),
        'summary': model_to_dict(project.summary, exclude=('id', 'project')),
    }


def copy_of(project, api):
    made = Project.objects.create(
        title='Copy',
        created_by=project.created_by,
        organization=project.organization,
        label_config=project.label_config,
    )
    services.enable(made, 'constant', project.created_by)
    for one in (project, made):
        data = [{'data': {'image': f'picture {number}', 'text': 'x'}} for number in range(5)]
        assert api.post(f'/api/projects/{one.pk}/import', data, format='json').status_code == 201
        first = Task.objects.filter(project=one).order_by('id').first()
        StoredPrediction.objects.bulk_create(
            [StoredPrediction(task=first, project=one, result=[], model_version='imported')]
        )
        Task.objects.filter(pk=first.pk).update(total_predictions=1)
    return made


def test_a_run_leaves_what_upstreams_own_path_leaves(enabled, api, someone, monkeypatch):
    from core.current_request import CurrentContext
    from webhooks import utils as webhooks

    sent = []
    monkeypatch.setattr(webhooks, 'run_webhook_sync', lambda *args, **kwargs: sent.append(args))
    other = copy_of(enabled, api)
    before = len(sent)
    connected = UpstreamMLBackend.objects.get(project=enabled)
    CurrentContext.set_request(SimpleNamespace(user=someone))
    try:
        original = UpstreamMLBackend.predict_tasks.__wrapped__
        original(connected, Task.objects.filter(project=enabled))
    finally:
        CurrentContext.clear()
    run = finish(runs.start(other, 'constant', user=someone))
    assert run.state == 'finished'
    for one in (enabled, other):
        one.summary.refresh_from_db()
    theirs, ours = facts_of(enabled), facts_of(other)
    # Upstream counts a task's columns once more with each prediction, from a summary that it read before it counted
    # them down. Ours stay the number of tasks that have the column.
    assert ours['summary'].pop('all_data_columns') == {'image': 5, 'text': 5}
    assert theirs['summary'].pop('all_data_columns').keys() == {'image', 'text'}
    assert ours == theirs
    assert [task['total_predictions'] for task in ours['tasks']] == [2, 1, 1, 1, 1]
    assert {task['updated_by'] for task in ours['tasks']} == {someone.pk}
    assert len(sent) == before


def test_what_is_stored_is_what_the_model_said(source):
    task_id = make_tasks(Project.objects.get(), 1)[0]
    row = store(source, [(task_id, CONTENT)])[0]
    read = StoredPrediction.objects.get()
    assert (read.pk, read.task_id, read.model_id) == (row.pk, task_id, source.connection_id)
    assert read.result == row.result == CONTENT.result()
    assert read.score == row.score == 0.1 + 0.2
    assert (read.model_version, read.cluster, read.mislabeling) == ('constant-v0', None, 0.0)
    assert abs((read.created_at - row.created_at).total_seconds()) < 0.01


def test_storing_again_changes_nothing(source):
    ids = make_tasks(Project.objects.get(), 3)
    assert len(store(source, [(task_id, CONTENT) for task_id in ids])) == 3
    before = list(Task.objects.values_list('updated_at', 'total_predictions'))
    assert store(source, [(task_id, CONTENT) for task_id in ids]) == []
    assert list(Task.objects.values_list('updated_at', 'total_predictions')) == before


def test_predictions_of_other_versions_and_backends_are_no_duplicates(source):
    task_id = make_tasks(Project.objects.get(), 1)[0]
    store(source, [(task_id, CONTENT)])
    assert len(store(Source(source.project_id, source.connection_id, 'constant-v1'), [(task_id, CONTENT)])) == 1
    assert len(store(Source(source.project_id, None, 'constant-v0'), [(task_id, CONTENT)])) == 1
    assert store(Source(source.project_id, None, 'constant-v0'), [(task_id, CONTENT)]) == []
    assert Task.objects.get().total_predictions == 3


def test_deleted_and_foreign_tasks_are_left_out(source, owner):
    project = Project.objects.get()
    ids = make_tasks(project, 3)
    Task.objects.filter(pk=ids[0]).delete()
    Task.objects.filter(pk=ids[1]).update(project=None)
    assert [row.task_id for row in store(source, [(task_id, CONTENT) for task_id in ids])] == [ids[2]]


def test_few_statements_however_many_predictions(source):
    ids = make_tasks(Project.objects.get(), 400)
    with CaptureQueriesContext(connection) as queries:
        store(source, [(task_id, CONTENT) for task_id in ids])
    assert len(queries) <= 5, [item['sql'][:80] for item in queries.captured_queries]


def test_threads_that_store_at_the_same_time_make_one_prediction_each(source):
    ids = make_tasks(Project.objects.get(), 20)
    start = threading.Barrier(6)
    errors = []

    def write():
        try:
            start.wait()
            for task_id in ids:
                store(source, [(task_id, CONTENT)])
            store(source, [(task_id, CONTENT) for task_id in ids])
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert StoredPrediction.objects.count() == 20
    assert set(Task.objects.values_list('total_predictions', flat=True)) == {1}


@pytest.mark.skipif(connection.vendor != 'sqlite', reason='PostgreSQL has statistics')
def test_labeling_does_not_go_through_all_predictions_of_the_backend(enabled, api):
    task_id = make_tasks(enabled, 1)[0]
    value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}
    with CaptureQueriesContext(connection) as queries:
        assert api.get(f'/api/projects/{enabled.pk}/next').json()['predictions']
        assert api.get(f'/api/tasks/{task_id}/').status_code == 200
        assert api.post(f'/api/tasks/{task_id}/annotations/', {'result': [value]}, format='json').status_code == 201
    plans = [plan_of(item['sql']) for item in queries.captured_queries if '"prediction"' in item['sql']]
    assert any('prediction_task_id' in plan for plan in plans)
    assert not [plan for plan in plans if 'prediction_model_id' in plan]


def plan_of(statement):
    with connection.cursor() as cursor:
        cursor.execute('EXPLAIN QUERY PLAN ' + statement.replace('%', '%%'))
        return ' '.join(str(row) for row in cursor.fetchall())
