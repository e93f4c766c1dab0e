"""Submitting an annotation costs nothing more because a backend learns."""

import re
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from label_studio.ml_host.learning import watcher
from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.upstream import MLApiResult, UpstreamMLBackend
from tests.prelabeling.drive import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def statements(captured):
    """What was asked of the database, without the values."""
    return [re.sub(r"'[^']*'|\d+", '?', query['sql']) for query in captured.captured_queries]


def test_no_statement_more_than_without_learning(learn, queue, watching, project, make_tasks, submit):
    tasks = make_tasks(4)
    submit(tasks[0])
    with CaptureQueriesContext(connection) as without:
        submit(tasks[1])
    learn(after_labels=1)
    assert eventually(lambda: watcher.has_only_plugins(project.pk))
    submit(tasks[2])
    with CaptureQueriesContext(connection) as learning:
        submit(tasks[3])
    assert statements(learning) == statements(without)
    project.refresh_from_db()
    assert project.min_annotations_to_start_training == 1
    assert eventually(TrainingRun.objects.exists)


def test_changing_and_deleting_cost_nothing_more_either(learn, queue, watching, project, make_tasks, submit, api):
    def change(number):
        assert api.patch(f'/api/annotations/{number}/', {'result': []}, format='json').status_code == 200
        assert api.delete(f'/api/annotations/{number}/').status_code == 204

    tasks = make_tasks(3)
    change(submit(tasks[0]))
    first, second = submit(tasks[1]), submit(tasks[2])
    with CaptureQueriesContext(connection) as without:
        change(first)
    learn(after_labels=1000)
    assert eventually(lambda: watcher.has_only_plugins(project.pk))
    with CaptureQueriesContext(connection) as learning:
        change(second)
    assert statements(learning) == statements(without)


def test_a_submission_never_trains_in_the_request(learn, queue, project, make_tasks, submit):
    """Also where nobody watches: upstream's own receiver leaves plugins to the watcher."""
    learn(after_labels=1)
    submit(make_tasks(1)[0])
    assert not TrainingRun.objects.exists()
    assert queue.get_job_ids() == []
    assert UpstreamMLBackend.objects.get().get_state_display() == 'Connected'


def test_upstreams_button_still_trains(learn, queue, api):
    learn(after_labels=1000)
    connected = UpstreamMLBackend.objects.get()
    assert api.post(f'/api/ml/{connected.pk}/train', format='json').status_code == 200
    assert TrainingRun.objects.get().trigger == ''


def test_http_backends_are_trained_as_ever(learn, queue, watching, project, make_tasks, submit, monkeypatch, settings):
    settings.ML_BLOCK_LOCAL_IP = False
    trained = []
    monkeypatch.setattr('ml.api_connector.MLApi.train', lambda api, project: trained.append(api._url) or failed(api))
    learn(after_labels=1000)
    assert eventually(lambda: watcher.has_only_plugins(project.pk))
    UpstreamMLBackend.objects.create(project=project, url='http://127.0.0.1:1', title='http')
    assert not watcher.has_only_plugins(project.pk)
    submit(make_tasks(1)[0])
    assert trained == ['http://127.0.0.1:1']
    assert not TrainingRun.objects.exists()


def failed(api):
    return MLApiResult(api._url, {}, {'error': 'nobody is there'}, {}, 'error')


def test_many_annotators_are_not_kept_waiting(learn, queue, watching, project, make_tasks, monkeypatch):
    """A signal only takes a lock that nobody holds for long."""
    learn(after_labels=1000)
    monkeypatch.setattr(watcher.triggers, 'look', lambda row: time.sleep(0.3))
    watcher.note(project.pk)
    task = make_tasks(1)[0]
    slowest = 0.0
    for _ in range(2000):
        begin = time.perf_counter()
        watcher.note(task.project_id)
        slowest = max(slowest, time.perf_counter() - begin)
    assert slowest < 0.1
