"""What the REST API says of active learning, and what it lets people do about it."""

import pytest

from label_studio.ml_host.models import BackendEvent, SampledTask, SamplingFindings, SamplingPlan
from label_studio.ml_host.sampling import feeding, low
from label_studio.ml_host.sampling.findings import falling
from ml_plugins import Prediction

pytestmark = pytest.mark.django_db

REPORT = {
    'judged': 120,
    'explored': 30,
    'arms': {
        'active': [{'labels': 5, 'accuracy': 0.4, 'low': 0.3, 'high': 0.5}],
        'random': [{'labels': 5, 'accuracy': 0.3, 'low': 0.2, 'high': 0.4}],
        'saved': 40.0,
        'saved_low': 12.0,
        'saved_high': 70.0,
        'p_worse': 0.98,
        'worse': False,
        'sentence': 'About 40 labels saved so far (12 to 70).',
    },
    'gain': {'ahead': 100, 'gain': 0.01, 'low': 0.0, 'high': 0.02, 'expected_high': 0.02, 'sentence': 'A point.'},
    'advice': [
        {'name': 'budget', 'title': 'Budget', 'active': True, 'stop': True, 'sentence': '120 of 120.', 'value': 120.0}
    ],
    'failed': [{'name': 'moody', 'error': 'OSError: no'}],
}


@pytest.fixture
def url(project, plan):
    return f'/api/projects/{project.pk}/ml-backends/constant/'


def test_everything_is_told(api, url, plan, project, queue, make_tasks, annotator):
    feeding.keep(project.pk, 'constant-v0', [(1, Prediction([], 0.5, {'choice': [0.5, 0.5]}))])
    tasks = make_tasks(3)
    queue(tasks)
    assert annotator('ann').next_id() == tasks[0]
    SamplingFindings.objects.create(plan=plan, report=REPORT, labels=120)
    state = api.get(f'{url}sampling/').json()
    assert (state['on'], state['strategy'], state['waiting'], state['scored']) == (True, 'margin', 2, 0)
    assert state['served'] == {'queue': 1, 'explored': 0}
    assert state['strategies'][0]['name'] == 'automatic'
    offered = {item['name']: item for item in state['strategies']}
    assert offered['margin']['why_not'] == '' and offered['margin']['chosen']
    assert offered['margin']['values'] == {'batch': 'best'}
    assert offered['core_set']['why_not'] == 'The ML backend gives no embeddings.'
    criteria = {item['name']: item for item in state['criteria']}
    assert {name for name, item in criteria.items() if item['chosen']} == {'marginal_gain', 'prediction_stability'}
    assert criteria['budget']['params'][0]['minimum'] == 1
    findings = state['findings']
    assert findings['sentence'] == REPORT['arms']['sentence']
    assert findings['arms']['active'] == REPORT['arms']['active']
    assert (findings['gain']['gain'], findings['advice'][0]['stop']) == (0.01, True)
    assert findings['failed'] == REPORT['failed']
    assert state['fallen'] is None
    short = api.get(url).json()['sampling']['findings']
    assert (short['saved'], short['stop'], short['advice']) == (40.0, True, '120 of 120.')


def test_before_anything_is_known(api, url):
    SamplingPlan.objects.all().delete()
    state = api.get(f'{url}sampling/').json()
    assert (state['on'], state['strategy'], state['waiting'], state['served']) == (False, 'automatic', 0, {})
    assert state['findings']['sentence'].startswith('Nothing to say yet')
    assert state['findings']['arms'] is None and state['findings']['gain'] is None
    assert api.get(url.replace('constant', 'nobody') + 'sampling/').status_code == 404


def test_findings_can_be_asked_for(api, url, plan):
    response = api.post(f'{url}sampling/refresh/')
    assert response.status_code == 202 and response.json()['on'] is True
    assert SamplingFindings.objects.get(plan=plan).asked_at is not None
    SamplingPlan.objects.update(enabled=False)
    response = api.post(f'{url}sampling/refresh/')
    assert (response.status_code, response.json()['code']) == (409, 'sampling_off')
    assert 'switch it on first' in response.json()['detail']


def test_a_fallback_is_told_and_can_be_ended(
    api, url, plan, owner, queue, make_tasks, django_capture_on_commit_callbacks
):
    queue(make_tasks(3))
    SamplingFindings.objects.create(plan=plan, report=REPORT, labels=120)
    assert falling.fall_back(plan, 120, 'It does worse.')
    state = api.get(f'{url}sampling/').json()
    assert state['waiting'] == 0
    assert (state['fallen']['instead'], state['fallen']['why'], state['fallen']['again_at']) == (
        'random',
        'It does worse.',
        240,
    )
    assert api.get(url).json()['sampling']['instead'] == 'random'
    with django_capture_on_commit_callbacks(execute=True):
        response = api.post(f'{url}sampling/use-again/')
    assert response.status_code == 200 and response.json()['fallen'] is None
    assert low.take() == {plan.project_id}
    assert BackendEvent.objects.get(action='sampling_again').user == owner
    response = api.post(f'{url}sampling/use-again/')
    assert (response.status_code, response.json()['code']) == (409, 'sampling_off')
    assert 'has not fallen back' in response.json()['detail']


def test_a_task_that_is_served_meanwhile_is_logged_with_the_strategy_that_chose(plan, make_tasks, annotator):
    make_tasks(3)
    SamplingFindings.objects.create(plan=plan)
    falling.fall_back(plan, 10, 'It does worse.')
    assert annotator('ann').next_id()
    assert SampledTask.objects.get().strategy == 'random'


def test_stopping_criteria_are_chosen(api, url, plan, make_tasks, queue):
    queue(make_tasks(2))
    documented = {'sampling': {'on': True, 'explore': 0.1, 'stop': {'budget': {'labels': 500}}}}
    assert api.patch(url, documented, format='json').json()['sampling']['stop'] == {'budget': {'labels': 500}}
    stop = {'budget': {'labels': 300}, 'prediction_stability': {'rounds': 3, 'kappa': 0.95}}
    response = api.patch(url, {'sampling': {'stop': stop}}, format='json')
    # What is a default anyway is not kept.
    kept = {'budget': {'labels': 300}, 'prediction_stability': {'kappa': 0.95}}
    assert response.json()['sampling']['stop'] == kept
    plan.refresh_from_db()
    assert plan.stop == kept
    # Nothing else is chosen because of that.
    assert SampledTask.objects.count() == 2


@pytest.mark.parametrize(
    ('stop', 'sentence'),
    [
        (['budget'], "sampling.stop: ['budget'] must be stopping criteria by name, each with its parameters"),
        ({'soon': {}}, 'sampling.stop: there is no stopping criterion "soon"; there are: budget'),
        ({'budget': 5}, 'sampling.stop.budget: 5 must be parameters by name'),
        ({'budget': {'labels': 0}}, 'sampling.stop.budget: parameter "labels": 0 is below 1'),
        ({'budget': {'money': 1}}, 'sampling.stop.budget: unknown parameter "money"'),
    ],
)
def test_criteria_that_cannot_be_are_refused(api, url, stop, sentence):
    response = api.patch(url, {'sampling': {'stop': stop}}, format='json')
    assert (response.status_code, response.json()['code']) == (400, 'bad_sampling_settings')
    assert sentence in response.json()['detail']
    assert SamplingPlan.objects.get().stop is None


def test_strangers_see_and_do_nothing(url, make_user):
    from rest_framework.test import APIClient

    from label_studio.ml_host.upstream import Organization

    stranger = make_user('stranger')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Elsewhere')
    stranger.save()
    client = APIClient()
    client.force_authenticate(stranger)
    assert client.get(f'{url}sampling/').status_code in (403, 404)
    assert client.post(f'{url}sampling/refresh/').status_code in (403, 404)
    assert client.post(f'{url}sampling/use-again/').status_code in (403, 404)
    assert not SamplingFindings.objects.exists()
