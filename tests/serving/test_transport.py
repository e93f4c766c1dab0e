"""Upstream's own pages and endpoints work on a plugin."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.upstream import Prediction, Task, UpstreamMLBackend
from tests.prelabeling.drive import until_idle

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connected(project, owner, constant):
    services.enable(project, 'constant', owner)
    return UpstreamMLBackend.objects.get()


def test_interactive_annotating(connected, project, api, constant):
    task = Task.objects.create(project=project, data={'image': 'https://example.org/a.jpg'})
    connected.is_interactive = True
    connected.save()
    response = api.post(
        f'/api/ml/{connected.pk}/interactive-annotating',
        {'task': task.pk, 'context': {'result': [{'id': 'click'}]}},
        format='json',
    )
    assert response.json()['data']['result'][0]['value'] == {'choices': ['cat']}
    assert constant.interactions[0].regions == [{'id': 'click'}]
    assert constant.seen[-1].data == {'image': 'https://example.org/a.jpg'}
    assert not Prediction.objects.exists()


def test_retrieve_predictions_skips_what_is_there(connected, project, api, constant):
    for number in range(5):
        Task.objects.create(project=project, data={'image': f'https://example.org/{number}.jpg'})
    body = {'selectedItems': {'all': True, 'excluded': []}, 'project': project.pk}
    for _ in range(2):
        response = api.post(f'/api/dm/actions?id=retrieve_tasks_predictions&project={project.pk}', body, format='json')
        assert response.status_code == 200, response.content
        until_idle()
    assert Prediction.objects.count() == 5
    assert set(Task.objects.values_list('total_predictions', flat=True)) == {1}


def test_versions_and_test_prediction(connected, project, api):
    Task.objects.create(project=project, data={'image': 'https://example.org/a.jpg'})
    assert api.get(f'/api/ml/{connected.pk}/versions').json() == {'versions': []}
    response = api.post(f'/api/ml/{connected.pk}/predict/test?random=true', format='json')
    assert response.status_code == 200
    assert response.json()['response'][0]['model_version'] == 'constant-v0'


def test_training_a_backend_that_cannot_train_says_so(connected, api):
    assert api.post(f'/api/ml/{connected.pk}/train', format='json').status_code == 200
    connected.refresh_from_db()
    assert connected.get_state_display() == 'Error'
    assert 'train' in connected.error_message
