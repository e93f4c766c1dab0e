"""Trainings of a backend that is connected by URL: no request waits for them, and failures are said."""

import threading

import pytest

from label_studio.ml_host.http_backends import delivery
from label_studio.ml_host.models import FailureRecord
from label_studio.ml_host.upstream import Task
from ml_plugins.failures import failure_log
from tests.http_backends.conftest import REGION

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def released(model):
    """The backend trains until this is set."""
    event = threading.Event()
    model.before_webhook = lambda: event.wait(30)
    yield event
    event.set()
    delivery.join()


def actions(model) -> list[str]:
    return [body['action'] for path, body in model.asked if path == '/webhook']


def test_the_button_answers_at_once_and_a_second_press_waits_its_turn(api, connected, model, released):
    for _ in range(4):
        # Each would take until the backend has trained, which it has not.
        assert api.post(f'/api/ml/{connected.pk}/train', format='json').status_code == 200
    connected.refresh_from_db()
    assert connected.get_state_display() == 'Training'
    released.set()
    delivery.join()
    # One runs, one waits; the others are the same as that.
    assert actions(model) in (['START_TRAINING'] * 2, ['START_TRAINING'])


def test_a_failed_training_is_said(api, connected, model, project, kept_failures):
    model.webhook_status = 500
    api.post(f'/api/ml/{connected.pk}/train', format='json')
    delivery.join()
    connected.refresh_from_db()
    assert connected.get_state_display() == 'Error'
    assert '500' in connected.error_message
    failure = failure_log.of(f'http-{connected.pk}')[0]
    assert 'The training that was asked for failed' in failure.error
    assert failure.project_id == project.pk


def test_submitting_waits_neither_for_the_training_nor_for_the_event(api, connected, model, project, released):
    project.min_annotations_to_start_training = 1
    project.save()
    task = Task.objects.create(project=project, data={'image': '/a.png'})
    answer = api.post(f'/api/tasks/{task.pk}/annotations/', {'result': [REGION]}, format='json')
    assert answer.status_code == 201
    released.set()
    delivery.join()
    assert sorted(set(actions(model))) == ['ANNOTATION_CREATED', 'START_TRAINING']
    assert FailureRecord.objects.count() == 0
