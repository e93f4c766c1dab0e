"""The REST endpoints of pre-labeling: what they start, what they tell, what they refuse and how."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import (
    BackendEvent,
    ModelVersion,
    PrelabelFailure,
    PrelabelRun,
    PrelabelShard,
    ProjectBackend,
)
from label_studio.ml_host.prelabeling.selection import unpack
from label_studio.ml_host.upstream import Organization, Project, Task, User
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db


class NeedsTraining(ConstantBackend):
    needs_training = True

    def fit(self, dataset, run):
        return {}


@pytest.fixture
def tasks(project):
    return [Task.objects.create(project=project, data={'image': f'https://example.org/{n}.jpg'}) for n in range(4)]


@pytest.fixture
def row(project, owner, constant, tasks):
    services.enable(project, 'constant', owner)
    return ProjectBackend.objects.get()


@pytest.fixture
def base(project):
    return f'/api/projects/{project.pk}/ml-backends/constant/prelabel-runs/'


@pytest.fixture
def start(api, base, row):
    def _start(status=202, **body):
        response = api.post(base, body, format='json')
        assert response.status_code == status, response.content
        return response.json()

    return _start


def make_run(project, state='running', **values) -> PrelabelRun:
    values = {'total': 200, 'label': 'constant-v0', 'backend': 'constant', **values}
    run = PrelabelRun.objects.create(project=project, state=state, **values)
    PrelabelShard.objects.create(run=run, first_id=1, last_id=200, done=40, skipped=8, failed=2)
    return run


def test_start(start, owner):
    answer = start()
    run = PrelabelRun.objects.get()
    assert (answer['id'], answer['state'], answer['label'], answer['version']) == (
        run.pk,
        'queued',
        'constant-v0',
        None,
    )
    assert answer['progress']['total'] == 4
    assert (run.created_by, run.selection) == (owner, None)
    assert BackendEvent.objects.filter(action='prelabel', user=owner).count() == 1


def test_start_with_everything_said(start, project, tasks):
    version = ModelVersion.objects.create(project=project, backend='constant', number=2, directory='x', digest='x')
    numbers = [tasks[3].pk, tasks[1].pk]
    answer = start(version=2, skip_predicted=True, skip_labeled=True, task_ids=numbers)
    assert (answer['version'], answer['skip_predicted'], answer['skip_labeled']) == (2, True, True)
    run = PrelabelRun.objects.get()
    assert (run.version, list(unpack(run.selection))) == (version, sorted(numbers))


@pytest.mark.parametrize(
    ('body', 'field', 'message'),
    [
        ({'skip_predicted': 'perhaps'}, 'skip_predicted', "'perhaps': Must be a valid boolean."),
        ({'skip_labeled': None}, 'skip_labeled', 'None: This field may not be null.'),
        ({'version': 'newest'}, 'version', "'newest': A valid integer is required."),
        ({'version': 0}, 'version', '0: Ensure this value is greater than or equal to 1.'),
        ({'skip_lableled': True}, 'skip_lableled', 'There is no such field; the fields are version, skip_predicted'),
        ({'task_ids': []}, 'task_ids', 'This list may not be empty.'),
        ({'task_ids': 5}, 'task_ids', 'Expected a list of items but got type "int".'),
        ({'task_ids': [1, 'two']}, 'task_ids', "'two': A valid integer is required."),
    ],
)
def test_wrong_fields_are_named_with_their_value(start, body, field, message):
    errors = start(400, **body)['validation_errors']
    assert set(errors) == {field}
    assert message in str(errors[field])
    assert not PrelabelRun.objects.exists()


def test_what_does_not_exist_is_named(start, project, owner):
    elsewhere = Project.objects.create(title='Other', created_by=owner, organization=owner.active_organization)
    strange = Task.objects.create(project=elsewhere, data={'image': 'x'})
    answer = start(400, task_ids=[strange.pk])
    assert answer == {'detail': f'task_ids: {strange.pk} is not in project {project.pk}', 'code': 'bad_choice'}
    assert start(400, version=7)['detail'] == 'version: constant has no version "7"; it has none yet'


def test_who_cannot_start(api, project, owner, tasks, constant, inline_plugins):
    base = f'/api/projects/{project.pk}/ml-backends/'
    response = api.post(f'{base}nothing/prelabel-runs/')
    assert (response.status_code, response.json()['code']) == (404, 'plugin_not_found')
    response = api.post(f'{base}constant/prelabel-runs/')
    assert (response.status_code, response.json()['code']) == (409, 'not_enabled')
    inline_plugins('learner', NeedsTraining)
    services.enable(project, 'learner', owner)
    response = api.post(f'{base}learner/prelabel-runs/')
    assert (response.status_code, response.json()) == (
        409,
        {'detail': '"learner" has no version yet: train it first.', 'code': 'needs_training'},
    )


def test_progress(api, base, row, project):
    run = make_run(project, started_at=timezone.now() - timedelta(seconds=10))
    [item] = api.get(base).json()
    assert item.keys() == api.get(f'{base}{run.pk}/').json().keys()
    progress = item['progress']
    assert [progress[name] for name in ('total', 'done', 'skipped', 'failed', 'percent')] == [200, 40, 8, 2, 25]
    assert 4 < progress['rate'] <= 5
    assert 30 <= progress['seconds_left'] < 38


def test_cancel_and_resume(api, base, row, project, owner):
    run = make_run(project)
    assert api.post(f'{base}{run.pk}/cancel/').json()['cancel_requested'] is True
    PrelabelRun.objects.update(state='cancelled')
    resumed = api.post(f'{base}{run.pk}/resume/').json()
    assert (resumed['state'], resumed['cancel_requested']) == ('queued', False)
    refused = api.post(f'{base}{run.pk}/resume/')
    assert (refused.status_code, refused.json()['code']) == (409, 'wrong_state')
    actions = BackendEvent.objects.order_by('id').values_list('action', 'user')
    assert list(actions)[-2:] == [('prelabel_stop', owner.pk), ('prelabel', owner.pk)]


def test_failed_tasks_are_listed_by_page_and_retried(api, base, row, project):
    run = make_run(project, 'finished', ended_at=timezone.now())
    PrelabelFailure.objects.bulk_create(
        PrelabelFailure(run=run, task_id=number, reason=f'no file {number}') for number in range(1, 121)
    )
    first = api.get(f'{base}{run.pk}/failures/').json()
    assert (first['count'], first['page'], first['pages'], len(first['results'])) == (120, 1, 2, 100)
    assert first['results'][0] == {'task': 1, 'reason': 'no file 1'}
    assert len(api.get(f'{base}{run.pk}/failures/?page=2').json()['results']) == 20
    for wrong in ('3', '0', 'x'):
        refused = api.get(f'{base}{run.pk}/failures/?page={wrong}')
        assert refused.json()['validation_errors'] == {'page': [f"'{wrong}': there are pages 1 to 2."]}
    again = api.post(f'{base}{run.pk}/retry-failed/')
    assert (again.status_code, again.json()['progress']['total']) == (202, 120)
    nothing = api.post(f'{base}{again.json()["id"]}/retry-failed/')
    assert (nothing.status_code, nothing.json()['code']) == (409, 'wrong_state')


def test_new_tasks_are_switched_by_patch(api, project, owner, row):
    url = f'/api/projects/{project.pk}/ml-backends/constant/'
    assert api.get(url).json()['prelabel_new'] is False
    assert api.patch(url, {'prelabel_new': True}, format='json').json()['prelabel_new'] is True
    row.refresh_from_db()
    assert row.prelabel_new
    assert BackendEvent.objects.filter(action='prelabel_new', user=owner).get().detail == {'on': True}
    refused = api.patch(url, {'prelabel_new': 'perhaps'}, format='json').json()
    assert refused['validation_errors'] == {'prelabel_new': ["'perhaps': Must be a valid boolean."]}
    services.disable(project, 'constant')
    refused = api.patch(url, {'prelabel_new': True}, format='json')
    assert (refused.status_code, refused.json()['code']) == (409, 'not_enabled')
    both = api.patch(url, {'prelabel_new': False, 'enabled': True}, format='json').json()
    assert (both['enabled'], both['prelabel_new']) == (True, False)


def test_what_goes_on_in_a_project(api, base, row, project):
    url = f'/api/projects/{project.pk}/prelabel/'
    assert api.get(url).json() == {'active': [], 'latest': None}
    ended = make_run(project, 'finished', ended_at=timezone.now())
    waiting = make_run(project, 'queued', selection=b'x' * 1000)
    running = make_run(project)
    found = api.get(url).json()
    assert [item['id'] for item in found['active']] == [running.pk, waiting.pk]
    assert (found['latest']['id'], found['latest']['state']) == (ended.pk, 'finished')


def test_asking_what_goes_on_is_cheap(api, row, project):
    make_run(project)
    url = f'/api/projects/{project.pk}/prelabel/'
    api.get(url)
    with CaptureQueriesContext(connection) as queries:
        api.get(url)
    ours = [query['sql'] for query in queries if 'ml_host_prelabel' in query['sql']]
    assert len(ours) == 3
    assert not any('"selection"' in sql for sql in ours)


def test_strangers_may_not(base, project, row):
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    other = APIClient()
    other.force_authenticate(stranger)
    run = make_run(project)
    for path in ('', f'{run.pk}/', f'{run.pk}/failures/'):
        assert other.get(base + path).status_code in (403, 404), path
    for path in ('', f'{run.pk}/cancel/', f'{run.pk}/resume/', f'{run.pk}/retry-failed/'):
        assert other.post(base + path).status_code in (403, 404), path
    assert other.get(f'/api/projects/{project.pk}/prelabel/').status_code in (403, 404)
    assert APIClient().post(base).status_code == 401
    assert PrelabelRun.objects.get().state == 'running'


def test_a_run_of_another_backend_is_not_found(api, base, row, project):
    other = make_run(project, backend='other')
    assert api.get(f'{base}{other.pk}/').status_code == 404
    assert api.post(f'{base}{other.pk}/cancel/').status_code == 404
