"""Learning in the REST API."""

import pytest

from label_studio.ml_host.models import ProjectBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def url(project, counting):
    return f'/api/projects/{project.pk}/ml-backends/counting/'


def test_it_is_switched_on_and_the_state_says_how_it_learns(api, url):
    learning = api.get(url).json()['learning']
    assert (learning['on'], learning['after_labels'], learning['rule']) == (False, 10, 'automatic')
    # The request of docs/online-learning.md.
    response = api.patch(url, {'learning': {'on': True, 'after_labels': 50, 'every_minutes': 10}}, format='json')
    assert response.status_code == 200, response.content
    learning = response.json()['learning']
    assert (learning['on'], learning['after_labels'], learning['every_minutes']) == (True, 50, 10)
    learning = api.patch(url, {'learning': {'at': '02:30'}}, format='json').json()['learning']
    assert (learning['on'], learning['after_labels'], learning['at']) == (True, 50, '02:30')
    assert api.patch(url, {'learning': {'on': False}}, format='json').json()['learning']['on'] is False


def test_it_can_be_enabled_and_switched_on_at_once(api, url):
    assert api.patch(url, {'enabled': False}, format='json').json()['learning']['on'] is False
    response = api.patch(url, {'enabled': True, 'learning': {'on': True}}, format='json')
    assert response.json()['learning']['on'] is True


@pytest.mark.parametrize(
    ('learning', 'sentence'),
    [
        ({'on': 'maybe'}, "learning.on: 'maybe' must be true or false"),
        ({'after': 5}, 'learning.after: there is no such setting; there are after_labels, growth, at'),
        ({'at': '25:00'}, 'learning.at: "25:00" must be a time of day such as 02:30'),
        ({'growth': 'much'}, "learning.growth: 'much' must be a number from 0.0 to 100.0"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(api, url, learning, sentence):
    response = api.patch(url, {'params': {'mode': 'well'}, 'learning': {'keep': 3, **learning}}, format='json')
    assert response.status_code == 400
    assert sentence in response.json()['detail']
    assert response.json()['code'] == 'bad_learning_settings'
    assert ProjectBackend.objects.get().learning == {}


def test_a_disabled_backend_and_one_that_does_not_train_are_refused(api, url, project, constant):
    other = url.replace('counting', 'constant')
    response = api.patch(other, {'learning': {'on': True}}, format='json')
    assert (response.status_code, response.json()['code']) == (409, 'not_enabled')
    response = api.patch(other, {'enabled': True, 'learning': {'on': True}}, format='json')
    assert (response.status_code, response.json()['code']) == (409, 'cannot_train')
    assert not ProjectBackend.objects.filter(backend='constant', enabled=True).exists()
