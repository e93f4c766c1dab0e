"""Active learning in the REST API."""

import pytest

from label_studio.ml_host.models import BackendEvent, SampledTask, SamplingPlan
from label_studio.ml_host.sampling import low, services

pytestmark = pytest.mark.django_db


@pytest.fixture
def url(project, owner, constant):
    from label_studio.ml_host.enabling import services as enabling

    enabling.enable(project, 'constant', owner)
    return f'/api/projects/{project.pk}/ml-backends/constant/'


def change(api, url, **values):
    return api.patch(url, {'sampling': values}, format='json')


def test_it_is_switched_on_and_the_state_says_how_it_chooses(
    api, url, project, owner, django_capture_on_commit_callbacks
):
    state = api.get(url).json()['sampling']
    assert (state['on'], state['strategy'], state['explore'], state['batch']) == (False, 'automatic', 0.05, 50)
    assert not SamplingPlan.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        response = change(api, url, on=True, strategy='margin', batch=20, explore='0.1')
    assert response.status_code == 200, response.content
    state = response.json()['sampling']
    assert (state['on'], state['strategy'], state['explore'], state['batch']) == (True, 'margin', 0.1, 20)
    assert low.take() == {project.pk}
    state = change(api, url, seed=12).json()['sampling']
    assert (state['on'], state['strategy'], state['seed']) == (True, 'margin', 12)
    assert change(api, url, on=False).json()['sampling']['on'] is False
    events = BackendEvent.objects.filter(action='sampling').order_by('id')
    assert [(event.detail['on'], event.detail['seed'] == 12, event.user) for event in events] == [
        (True, False, owner),
        (True, True, owner),
        (False, True, owner),
    ]


def test_what_does_not_change_anything_is_no_event(api, url):
    change(api, url, on=True)
    change(api, url, on=True)
    assert BackendEvent.objects.filter(action='sampling').count() == 1


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({'on': 'maybe'}, "sampling.on: 'maybe' must be true or false"),
        ({'speed': 5}, 'sampling.speed: there is no such setting; there are on, strategy, params, explore, batch'),
        ({'explore': 1.5}, 'sampling.explore: 1.5 must be a number from 0.0 to 1.0'),
        ({'explore': 'nan'}, "sampling.explore: 'nan' must be a number"),
        ({'batch': 0}, 'sampling.batch: 0 must be a whole number from 1 to 10000'),
        ({'batch': 2.5}, 'sampling.batch: 2.5 must be a whole number'),
        ({'strategy': 'best'}, 'sampling.strategy: there is no query strategy "best"; there are: automatic'),
        ({'strategy': 'margin', 'params': {'sharp': 1}}, 'sampling.params: unknown parameter "sharp"'),
        ({'params': [1]}, 'sampling.params: [1] must be parameters by name'),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(api, url, values, sentence):
    response = change(api, url, **{'on': True, **values})
    assert response.status_code == 400
    assert sentence in response.json()['detail']
    assert response.json()['code'] == 'bad_sampling_settings'
    assert not SamplingPlan.objects.exists()


def test_a_strategy_that_the_answers_give_nothing_to_is_refused(api, url, project):
    from label_studio.ml_host.sampling import feeding
    from ml_plugins import Prediction

    feeding.keep(project.pk, 'constant-v0', [(1, Prediction([], score=0.5))])
    response = change(api, url, on=True, strategy='cluster_margin')
    assert response.status_code == 400
    assert 'gives no class probabilities and no embeddings.' in response.json()['detail']
    assert change(api, url, on=True, strategy='automatic').status_code == 200


def test_before_the_first_answer_every_strategy_may_be_chosen(api, url):
    assert change(api, url, on=True, strategy='mnlp').status_code == 200


def test_it_needs_an_enabled_backend_that_exists(api, url):
    assert api.patch(url, {'enabled': False}, format='json').status_code == 200
    response = change(api, url, on=True)
    assert (response.status_code, response.json()['code']) == (409, 'not_enabled')
    assert api.patch(url, {'enabled': True, 'sampling': {'on': True}}, format='json').json()['sampling']['on'] is True
    assert api.patch(url, {'enabled': False}, format='json').json()['sampling']['on'] is False


def test_who_may_not_change_the_project_may_not_change_this(url, make_user):
    from rest_framework.test import APIClient

    from label_studio.ml_host.upstream import Organization

    stranger = make_user('stranger')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Elsewhere')
    stranger.save()
    client = APIClient()
    client.force_authenticate(stranger)
    assert change(client, url, on=True).status_code in (403, 404)
    assert not SamplingPlan.objects.exists()


def test_another_choice_voids_what_waits_and_keeps_the_log(plan, project, make_tasks, queue, annotator):
    tasks = make_tasks(3)
    queue(tasks)
    ann = annotator('ann')
    assert ann.next_id() == tasks[0]
    services.set_sampling(project, 'constant', None, {'batch': 30})
    assert SampledTask.objects.filter(served_at=None).count() == 2
    services.set_sampling(project, 'constant', None, {'strategy': 'entropy'})
    assert SampledTask.objects.get().task_id == tasks[0]


def test_parameters_of_another_strategy_are_not_taken_along(plan, project):
    services.set_sampling(project, 'constant', None, {'strategy': 'automatic', 'params': {'first_labels': 30}})
    plan.refresh_from_db()
    assert plan.params == {'first_labels': 30}
    services.set_sampling(project, 'constant', None, {'strategy': 'margin'})
    plan.refresh_from_db()
    assert (plan.strategy, plan.params) == ('margin', {})


def test_a_project_goes_over_to_another_backend(plan, project, owner, inline_plugins):
    from label_studio.ml_host.enabling import services as enabling
    from label_studio.ml_host.sampling.settings import SamplingSettingsError
    from tests.inline_plugins import ConstantBackend

    inline_plugins('second', ConstantBackend)
    enabling.enable(project, 'second', owner)
    with pytest.raises(SamplingSettingsError, match='chooses with ML backend "constant", not "second"'):
        services.set_sampling(project, 'second', None, {'batch': 10})
    assert services.set_sampling(project, 'second', False, {}).backend == 'constant'
    assert services.set_sampling(project, 'second', True, {}).backend == 'second'
    assert services.sampling_state(project.pk, 'constant')['on'] is False
    assert services.sampling_state(project.pk, 'second')['on'] is True
