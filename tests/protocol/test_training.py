"""Trainings for another Label Studio: from its events, from its tasks, and when it cannot be reached."""

import json

import pytest

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import RemoteProject, TrainingRun
from label_studio.ml_host.protocol import callers
from label_studio.ml_host.task_data.resolver import files_of_project, task_from_data
from label_studio.ml_host.upstream import Annotation, Task
from label_studio.ml_host.versions.files import version_files
from ml_plugins.exceptions import TaskDataError
from tests.conftest import CHOICES_CONFIG
from tests.protocol.conftest import PROJECT, PROJECT_OBJECT, REGION, Peer
from tests.protocol.other_server import LEGACY, PERSONAL, other_server, resolve_path
from tests.training.conftest import CountingBackend, folders, queue, redis_socket, work  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other():
    with other_server() as server:
        yield server


@pytest.fixture
def peer(inline_plugins, owner, folders, password, settings, other):  # noqa: F811
    callers.forget()
    inline_plugins('counting', CountingBackend)
    settings.ML_REMOTE_HOSTS = [other.url]
    settings.SSRF_PROTECTION_ENABLED = True
    return Peer(password, 'counting')


@pytest.fixture
def train(peer, queue, work, folders):  # noqa: F811
    """Presses Start Training over there, and works it off; returns the run and its log."""

    def press():
        answer = peer.event('START_TRAINING')
        assert answer.status_code == 201, answer.content
        work()
        run = TrainingRun.objects.get(pk=answer.json()['job'])
        status = peer.post('/job_status', {'job': answer.json()['job']}).json()
        return run, status, run_log_path(folders / 'log', run.pk).read_text()

    return press


def learned(run) -> dict:
    return json.loads((version_files(run.version).path / 'sub' / 'counts.json').read_text())


def annotated(peer, task: int, annotation: int, choice: str, action: str = 'ANNOTATION_CREATED'):
    region = {**REGION, 'value': {'choices': [choice]}}
    return peer.event(
        action,
        task={'id': task, 'data': {'image': f'/{task}.png'}, 'project': 7},
        annotation={'id': annotation, 'task': task, 'result': [region], 'completed_by': 3, 'project': 7},
    )


@pytest.mark.parametrize('token', [LEGACY, PERSONAL])
def test_labels_are_fetched_page_by_page_and_deleted_ones_forgotten(peer, train, other, token):
    peer.setup(hostname=other.url, access_token=token)
    for number in range(1, 251):
        other.label(number, 1000 + number, 'cat' if number % 2 else 'dog')
    run, status, log = train()
    assert (run.state, run.error) == ('finished', '')
    assert f'250 labeled tasks were fetched from project 7 of {other.url}' in log
    assert learned(run) == {'cat': 125, 'dog': 125}
    assert (status['job_status'], status['result']['model_version']) == ('finished', 'counting-v1')
    assert peer.get('/versions', project=PROJECT).json() == {'versions': ['counting-v1']}
    assert peer.setup().json() == {'model_version': 'counting-v1'}
    assert set(Task.objects.values_list('is_labeled', 'total_annotations')) == {(True, 1)}

    other.tasks = other.tasks[:3]
    other.tasks[0]['annotations'][0]['result'][0]['value']['choices'] = ['dog']
    peer.setup(hostname=other.url, access_token=token)
    run, _status, _log = train()
    assert learned(run) == {'dog': 2, 'cat': 1}
    assert Annotation.objects.count() == 3
    assert Task.objects.filter(is_labeled=True).count() == 3


def test_half_an_answer_deletes_nothing(peer, train, other):
    peer.setup(hostname=other.url, access_token=LEGACY)
    for number in range(1, 151):
        other.label(number, 1000 + number)
    other.breaks_at_page = 2
    annotated(peer, 900, 9000, 'dog')
    run, _status, log = train()
    assert 'answers 500' in log
    assert learned(run)['dog'] == 1


def test_events_alone_are_enough(peer, train):
    peer.setup(hostname='http://127.0.0.1:9', access_token='')
    for number in range(1, 5):
        assert annotated(peer, number, number + 10, 'cat').json() == {'status': 'ok', 'annotations': 1}
    annotated(peer, 1, 11, 'dog', 'ANNOTATION_UPDATED')
    assert peer.event('ANNOTATIONS_DELETED', annotations=[{'id': 12}, {'id': 777}]).json()['annotations'] == 1
    assert peer.event('TASKS_DELETED', tasks=[{'id': 3}]).status_code == 200
    many = peer.event(
        'ANNOTATIONS_CREATED',
        task=[{'id': 5, 'data': {'image': '/5.png'}}, {'id': 6, 'data': {'image': '/6.png'}}],
        annotation=[
            {'id': 15, 'task': 5, 'result': [REGION]},
            {'id': 16, 'task': 6, 'result': [REGION], 'was_cancelled': True},
        ],
    )
    assert many.json()['annotations'] == 2
    run, _status, log = train()
    assert (run.state, run.error) == ('finished', '')
    assert learned(run) == {'dog': 2, 'cat': 1}
    assert 'learns from what project 7' in log
    skipped = Task.objects.get(inner_id=6)
    assert (skipped.is_labeled, skipped.total_annotations, skipped.cancelled_annotations) == (False, 0, 1)


class TestUnreachable:
    def test_nothing_answers(self, peer, train, settings):
        settings.ML_REMOTE_HOSTS = ['http://127.0.0.1:9']
        peer.setup(hostname='http://127.0.0.1:9', access_token=LEGACY)
        run, status, _log = train()
        assert run.state == 'failed'
        assert 'cannot be reached' in run.error
        assert (status['job_status'], status['error']) == ('failed', run.error)
        assert run.traceback == ''

    def test_a_private_address_that_no_setting_names(self, peer, train, other, settings):
        settings.ML_REMOTE_HOSTS = []
        other.label(1, 1)
        peer.setup(hostname=other.url, access_token=LEGACY)
        run, _status, _log = train()
        assert 'private or reserved network address' in run.error
        assert 'ML_REMOTE_HOSTS' in run.error
        assert other.asked == []

    @pytest.mark.parametrize('token', ['wrong', 'a.b.c'])
    def test_a_token_that_is_refused(self, peer, train, other, token):
        other.label(1, 1)
        peer.setup(hostname=other.url, access_token=token)
        run, _status, _log = train()
        assert run.state == 'failed'
        assert 'refuses the' in run.error
        assert token not in run.error

    def test_no_address(self, peer, train):
        peer.setup(hostname='', access_token='')
        run, _status, _log = train()
        assert 'did not say its address' in run.error

    def test_something_else_answers(self, peer, train, other):
        other.redirects['/api/tasks/'] = f'{other.url}/public/page'
        other.files['/public/page'] = b'<html>'
        peer.setup(hostname=other.url, access_token=LEGACY)
        run, _status, _log = train()
        assert 'it is no Label Studio' in run.error


class TestFiles:
    @pytest.fixture
    def read(self, peer, other):
        peer.setup(hostname=other.url, access_token=LEGACY)
        files = files_of_project(RemoteProject.objects.get().project)
        return lambda value: task_from_data(1, {'image': value}, files).bytes('image')

    def test_uploads_and_local_files_are_read_there_with_the_token(self, read, other):
        other.files['/data/upload/7/a.png'] = b'upload'
        other.files['/data/local-files/?d=pets/a.png'] = b'local'
        assert read('/data/upload/7/a.png') == b'upload'
        assert read(f'{other.url}/data/upload/7/a.png') == b'upload'
        assert read('/data/local-files/?d=pets/a.png') == b'local'
        assert {header for _path, header in other.asked} == {f'Token {LEGACY}'}

    def test_the_token_does_not_go_along_to_a_bucket(self, read, other, settings):
        with other_server() as bucket:
            settings.ML_REMOTE_HOSTS = [other.url, bucket.url]
            bucket.files['/public/a.png'] = b'object'
            other.redirects['/projects/7/resolve/'] = f'{bucket.url}/public/a.png'
            assert read('s3://pets/a.png') == b'object'
            assert bucket.asked == [('/public/a.png', '')]
        assert other.asked[-1] == (resolve_path('s3://pets/a.png'), f'Token {LEGACY}')

    def test_a_redirect_into_a_private_network_is_refused(self, read, other):
        with other_server() as inside:
            other.redirects['/data/upload/7/a.png'] = f'{inside.url}/public/a.png'
            with pytest.raises(TaskDataError, match='private or reserved network address'):
                read('/data/upload/7/a.png')
            assert inside.asked == []

    def test_a_missing_file_is_said(self, read, other):
        with pytest.raises(TaskDataError, match='answers 404'):
            read('/data/upload/7/gone.png')


@pytest.mark.parametrize(
    ('payload', 'said'),
    [
        ({'annotation': {'id': 1, 'result': 5}, 'task': {'id': 1, 'data': {}}}, '"annotation.result"'),
        ({'annotation': {'id': 'x', 'result': []}, 'task': {'id': 1, 'data': {}}}, '"id"'),
        ({'annotation': {'id': 1, 'result': []}, 'task': {'id': 1}}, '"task.data"'),
        ({'annotation': 5, 'task': {'id': 1, 'data': {}}}, '"annotation"'),
        ({}, '"task"'),
    ],
)
def test_an_event_that_is_wrong(peer, payload, said):
    answer = peer.event('ANNOTATION_CREATED', **payload)
    assert answer.status_code == 400
    assert said in answer.json()['detail']
    assert Annotation.objects.count() == 0


def test_an_event_with_a_label_config_that_cannot_be_served(peer):
    config = '<View><Text name="t" value="$text"/><TextArea name="a" toName="t"/></View>'
    answer = peer.event('PROJECT_UPDATED', project={**PROJECT_OBJECT, 'label_config': config})
    assert answer.status_code == 400
    assert peer.event('LABEL_LINK_CREATED').status_code == 200


def test_the_older_way_to_train_brings_its_tasks(peer, queue, work):  # noqa: F811
    body = {
        'project': PROJECT,
        'label_config': CHOICES_CONFIG,
        'params': {},
        'annotations': [{'id': 1, 'data': {'image': '/1.png'}, 'annotations': [{'id': 11, 'result': [REGION]}]}],
    }
    answer = peer.post('/train', body)
    assert answer.status_code == 201
    work()
    assert learned(TrainingRun.objects.get(pk=answer.json()['job'])) == {'dog': 1}
    assert peer.post('/job_status', {'job': '999'}).status_code == 410


def test_a_backend_that_does_not_train_says_so(inline_plugins, constant, peer, password, queue):  # noqa: F811
    answer = Peer(password, 'constant').event('START_TRAINING')
    assert answer.status_code == 409
    assert 'does not train' in answer.json()['detail']
