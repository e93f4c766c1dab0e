"""The REST endpoints: what they answer, who may call them, and that they stand in the schema."""

import pytest
from rest_framework.test import APIClient

from label_studio.ml_host.api.errors import status_of
from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training.errors import NotEnabledError, QueueUnavailableError
from label_studio.ml_host.upstream import Organization, User
from ml_plugins import exceptions as errors

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(project):
    return f'/api/projects/{project.pk}/ml-backends/'


@pytest.fixture
def run(project, learner, settings, tmp_path):
    settings.ML_LOG_DIR = tmp_path
    return TrainingRun.objects.create(project=project, backend='learner', state='running', done=1, total=4)


def test_plugins(api, learner):
    found = {item['name']: item for item in api.get('/api/ml-plugins/').json()}
    assert found['learner']['usable'] is True
    assert found['learner']['package'] == 'inline'


def test_list_and_detail(api, base, learner):
    [item] = [item for item in api.get(base).json() if item['name'] == 'learner']
    assert (item['enabled'], item['can_train'], item['why_not']) == (False, True, '')
    assert api.get(f'{base}learner/').json()['params'] == {'epochs': 5}


def test_enable_set_and_disable(api, base, learner):
    response = api.patch(f'{base}learner/', {'enabled': True, 'params': {'epochs': 9}}, format='json')
    assert response.status_code == 200, response.content
    assert (response.json()['enabled'], response.json()['params']) == (True, {'epochs': 9})
    assert api.patch(f'{base}learner/', {'enabled': False}, format='json').json()['enabled'] is False
    assert ProjectBackend.objects.get().params == {'epochs': 9}


def test_a_refused_part_changes_nothing(api, base, learner):
    response = api.patch(f'{base}learner/', {'enabled': True, 'params': {'epochs': 99}}, format='json')
    assert response.status_code == 400
    assert response.json() == {'detail': 'parameter "epochs": 99 is above 50', 'code': 'bad_parameter'}
    assert not ProjectBackend.objects.filter(enabled=True).exists()
    assert api.patch(f'{base}learner/', {'enabled': 'perhaps'}, format='json').status_code == 400


def test_a_label_config_that_cannot_be_served(api, base, project, learner):
    project.label_config = '<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>'
    project.save()
    response = api.patch(f'{base}learner/', {'enabled': True, 'params': {'epochs': 9}}, format='json')
    assert (response.status_code, response.json()['code']) == (400, 'label_config_not_served')
    assert not ProjectBackend.objects.exists()


def test_unknown_names(api, base, project, learner):
    response = api.get(f'{base}nothing/')
    assert (response.status_code, response.json()['code']) == (404, 'plugin_not_found')
    assert api.patch(f'{base}nothing/', {'enabled': False}, format='json').status_code == 404
    assert api.get('/api/projects/99999/ml-backends/').status_code == 404
    assert api.get(f'{base}learner/runs/99999/').status_code == 404
    assert api.post(f'{base}learner/versions/7/put-in-service/').status_code == 404


def test_train(api, base, run, monkeypatch):
    from label_studio.ml_host.training import runs

    monkeypatch.setattr(runs, 'request_training', lambda project, backend, user=None: run)
    response = api.post(f'{base}learner/train/')
    assert (response.status_code, response.json()['id'], response.json()['percent']) == (202, run.pk, 25)


def test_train_while_disabled(api, base, learner):
    response = api.post(f'{base}learner/train/')
    assert (response.status_code, response.json()['code']) == (409, 'not_enabled')


def test_runs_cancel_and_log(api, base, run, settings):
    assert [item['id'] for item in api.get(f'{base}learner/runs/').json()] == [run.pk]
    url = f'{base}learner/runs/{run.pk}/'
    assert api.get(url).json()['state'] == 'running'
    assert api.get(f'{url}log/').content == b''
    path = run_log_path(settings.ML_LOG_DIR, run.pk)
    path.write_text('one\ntwo\nthree\n')
    assert api.get(f'{url}log/').content == b'one\ntwo\nthree\n'
    assert api.get(f'{url}log/?tail=2').content == b'two\nthree'
    assert api.get(f'{url}log/?tail=x').status_code == 400
    assert api.post(f'{url}cancel/').json()['cancel_requested'] is True


def test_versions(api, base, project, learner):
    version = ModelVersion.objects.create(project=project, backend='learner', number=1, directory='x', digest='0' * 64)
    ProjectBackend.objects.create(project=project, backend='learner', enabled=True, in_service=version)
    [item] = api.get(f'{base}learner/versions/').json()
    assert (item['number'], item['label'], item['in_service']) == (1, 'learner-v1', True)
    damaged = api.post(f'{base}learner/versions/1/put-in-service/')
    assert (damaged.status_code, damaged.json()['code']) == (409, 'model_version')


def test_reset(api, base, learner):
    api.patch(f'{base}learner/', {'enabled': True}, format='json')
    assert api.post(f'{base}learner/reset/').json()['circuit_breaker'] is None


def test_who_may_call(base, run):
    assert APIClient().get(base).status_code == 401
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    other = APIClient()
    other.force_authenticate(stranger)
    for path in ('', 'learner/', 'learner/runs/', f'learner/runs/{run.pk}/log/', 'learner/versions/'):
        assert other.get(base + path).status_code in (403, 404), path
    for path in ('learner/train/', 'learner/reset/', f'learner/runs/{run.pk}/cancel/'):
        assert other.post(base + path).status_code in (403, 404), path
    assert other.patch(f'{base}learner/', {'enabled': True}, format='json').status_code in (403, 404)


def test_a_member_who_was_removed(api, base, owner, learner):
    from django.utils import timezone

    owner.om_through.update(deleted_at=timezone.now())
    assert api.get(base).status_code == 403


def test_the_schema_lists_the_endpoints(api):
    from drf_spectacular.generators import SchemaGenerator

    paths = SchemaGenerator(patterns=_patterns()).get_schema(request=None, public=True)['paths']
    start = '/api/projects/{id}/ml-backends/'
    one = f'{start}{{name}}/'
    wanted = {
        '/api/ml-plugins/': {'get'},
        start: {'get'},
        one: {'get', 'patch'},
        f'{one}train/': {'post'},
        f'{one}reset/': {'post'},
        f'{one}runs/': {'get'},
        f'{one}runs/{{run}}/': {'get'},
        f'{one}runs/{{run}}/cancel/': {'post'},
        f'{one}runs/{{run}}/log/': {'get'},
        f'{one}versions/': {'get', 'post'},
        f'{one}versions/{{number}}/': {'get', 'delete'},
        f'{one}versions/{{number}}/put-in-service/': {'post'},
        f'{one}versions/{{number}}/archive/': {'post'},
        f'{one}versions/{{number}}/unarchive/': {'post'},
        f'{one}versions/{{number}}/download/': {'get'},
        f'{one}versions/{{number}}/compare/{{other}}/': {'get'},
        f'{one}learning-curve/': {'get'},
        f'{one}replays/': {'get', 'post'},
        f'{one}replays/{{run}}/': {'get'},
        f'{one}replays/{{run}}/cancel/': {'post'},
        f'{one}label-errors/': {'get', 'post'},
        f'{one}label-errors/{{run}}/': {'get'},
        f'{one}label-errors/{{run}}/cancel/': {'post'},
        f'{one}label-errors/{{run}}/review/': {'post'},
        f'{one}sampling/': {'get'},
        f'{one}sampling/refresh/': {'post'},
        f'{one}sampling/use-again/': {'post'},
        '/api/projects/{id}/prelabel/': {'get'},
        f'{one}prelabel-runs/': {'get', 'post'},
        f'{one}prelabel-runs/{{run}}/': {'get'},
        f'{one}prelabel-runs/{{run}}/cancel/': {'post'},
        f'{one}prelabel-runs/{{run}}/resume/': {'post'},
        f'{one}prelabel-runs/{{run}}/retry-failed/': {'post'},
        f'{one}prelabel-runs/{{run}}/failures/': {'get'},
        '/predict/': {'post'},
        '/api/projects/{id}/predict/': {'post'},
    }
    assert {path: set(methods) for path, methods in paths.items()} == wanted
    for methods in paths.values():
        assert all(item['tags'] == ['ML backends'] for item in methods.values())


def _patterns():
    from label_studio.ml_host.api.urls import urlpatterns

    return urlpatterns


@pytest.mark.parametrize(
    ('error', 'status'),
    [
        (errors.PluginNotFoundError('x'), 404),
        (errors.LabelConfigError('x'), 400),
        (NotEnabledError('x'), 409),
        (QueueUnavailableError('x'), 503),
        (errors.PluginBrokenError('x'), 503),
        (errors.CircuitOpenError('x'), 503),
        (errors.BackendBusyError('x'), 503),
    ],
)
def test_statuses(error, status):
    assert status_of(error) == status
