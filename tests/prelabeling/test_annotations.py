"""An annotation remembers the prediction that its annotator saw."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.upstream import Annotation, Prediction, Task

pytestmark = pytest.mark.django_db(transaction=True)

RESULT = [{'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['dog']}}]


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def task(project):
    return Task.objects.create(project=project, data={'image': 'https://example.org/a.jpg'})


@pytest.fixture
def submit(api, task):
    def submitted(**fields):
        response = api.post(f'/api/tasks/{task.pk}/annotations/', {'result': RESULT, **fields}, format='json')
        assert response.status_code == 201, response.content
        return Annotation.objects.get(pk=response.json()['id'])

    return submitted


def test_the_prediction_of_the_version_in_service_is_copied(enabled, api, task, submit):
    api.get(f'/api/tasks/{task.pk}/')
    (prediction,) = Prediction.objects.all()
    annotation = submit(parent_prediction=prediction.pk)
    assert annotation.parent_prediction_id == prediction.pk
    assert annotation.prediction['id'] == prediction.pk
    assert annotation.prediction['model_version'] == 'constant-v0'
    assert annotation.prediction['score'] == 0.9
    assert annotation.prediction['result'][0]['value'] == {'choices': ['cat']}


def test_the_prediction_that_was_shown_is_copied_after_a_new_version(enabled, api, task, submit):
    shown = Prediction.objects.create(
        task=task, project=enabled, model_version='constant-v7', result=RESULT, model_id=enabled.ml_backends.get().pk
    )
    api.get(f'/api/tasks/{task.pk}/')
    assert Prediction.objects.count() == 2
    assert submit(parent_prediction=shown.pk).prediction['model_version'] == 'constant-v7'
    assert submit().prediction['model_version'] == 'constant-v0'


def test_a_prediction_of_another_task_is_not_copied(enabled, api, task, submit):
    other = Task.objects.create(project=enabled, data=task.data)
    api.get(f'/api/tasks/{other.pk}/')
    assert submit(parent_prediction=Prediction.objects.get().pk).prediction == {}


def test_upstreams_own_rule_stays_for_stored_versions(project, owner, constant, task, submit):
    Prediction.objects.create(task=task, project=project, model_version='imported', result=RESULT)
    project.model_version = 'imported'
    project.save()
    assert submit().prediction['model_version'] == 'imported'


def test_nothing_predicted_nothing_copied(enabled, submit):
    assert submit().prediction == {}
