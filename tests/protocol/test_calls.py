"""What another Label Studio calls, what it is answered, and what each mistake is answered with."""

import json

import pytest
from rest_framework.authtoken.models import Token

from label_studio.ml_host.enabling.services import disable
from label_studio.ml_host.models import RemoteProject
from label_studio.ml_host.protocol import callers
from label_studio.ml_host.upstream import LSAPIToken, Project
from ml_plugins import MLBackend, Serves
from tests.conftest import CHOICES_CONFIG
from tests.protocol.conftest import PROJECT, TASK, Peer, basic

pytestmark = pytest.mark.django_db

TEXT_CONFIG = '<View><Text name="t" value="$text"/><TextArea name="a" toName="t"/></View>'


def test_health_setup_and_predict(peer, constant):
    health = peer.get('/health')
    assert (health.status_code, health.json()) == (200, {'status': 'UP', 'model_class': 'constant'})
    assert peer.get('').json() == health.json()
    assert peer.setup().json() == {'model_version': 'constant-v0'}
    answer = peer.predict(TASK, {**TASK, 'id': 502})
    assert answer.status_code == 200
    first, second = answer.json()['results']
    assert first == second
    assert first['result'][0]['value'] == {'choices': ['cat']}
    assert (first['score'], first['model_version']) == (0.9, 'constant-v0')
    assert peer.get('/versions').json() == {'versions': []}


def test_a_remote_project_has_a_shadow_that_nobody_labels_in(peer, owner, project, api, settings):
    settings.ML_DEFAULT_BACKEND = 'constant'
    for _ in range(2):
        peer.setup()
        peer.predict()
    (remote,) = RemoteProject.objects.all()
    assert (remote.number, remote.stamp, remote.hostname) == (7, 1700000000, 'http://peer.example.org:8080')
    assert remote.project.title == 'Project 7 of peer.example.org:8080'
    assert (remote.organization, remote.access_token) == (owner.active_organization, 'abc')
    assert remote.seen_at is not None
    listed = [item['id'] for item in api.get('/api/projects/').json()['results']]
    assert listed == [project.pk]
    shadows = [item['id'] for item in api.get('/api/projects/?remote=1').json()['results']]
    assert shadows == [remote.project_id]
    # Another project made there at another time is another one, whatever its number.
    assert peer.setup(project='7.1800000000').status_code == 200
    assert RemoteProject.objects.count() == 2


def test_the_shadows_page_says_whose_it_is(peer, browser):
    peer.setup()
    remote = RemoteProject.objects.get()
    page = browser.get(f'/projects/{remote.project_id}/ml-backends/').content.decode()
    assert 'This project stands for project 7 of http://peer.example.org:8080' in page
    assert 'data-backend="constant"' in page


def test_an_interactive_request_carries_what_the_person_drew(peer, constant):
    region = {'type': 'rectanglelabels', 'value': {'x': 1}}
    task = {**TASK, 'annotations': [], 'predictions': [], 'drafts': []}
    answer = peer.predict(task, context={'result': [region], 'event': 'click'})
    assert answer.status_code == 200
    (interaction,) = constant.interactions
    assert list(interaction.regions) == [region]
    assert interaction.extra == {'event': 'click'}


def test_a_changed_label_config_is_taken_over(peer):
    peer.setup()
    changed = CHOICES_CONFIG.replace('dog', 'bird')
    assert peer.predict(label_config=changed).status_code == 200
    assert RemoteProject.objects.get().project.label_config == changed


@pytest.mark.parametrize('params', [{'hostname': 'https://b.example.org/', 'access_token': 'x.y.z'}])
@pytest.mark.parametrize('written', [dict, json.dumps])
def test_extra_params_stand_above_what_the_server_says(peer, params, written):
    assert peer.setup(extra_params=written(params)).status_code == 200
    remote = RemoteProject.objects.get()
    assert (remote.hostname, remote.access_token) == ('https://b.example.org', 'x.y.z')


def test_an_unknown_parameter_is_named(peer):
    answer = peer.setup(extra_params={'epochs': 3})
    assert (answer.status_code, answer.json()['code']) == (400, 'bad_parameter')
    assert 'epochs' in answer.json()['detail']


class TestCredentials:
    def test_none(self, peer):
        answer = Peer().get('/health')
        assert (answer.status_code, answer.json()['code']) == (401, 'credentials')
        assert 'basic auth' in answer.json()['detail']
        assert answer['WWW-Authenticate'].startswith('Basic')

    @pytest.mark.parametrize(
        'header',
        [
            basic('owner@example.org', 'wrong'),
            basic('nobody@example.org', 'secret-pass'),
            basic('token', 'wrong'),
            'Basic %%%',
            'Basic bm9jb2xvbg==',
            'Token wrong',
            'Bearer a.b.c',
            'Digest x',
        ],
    )
    def test_wrong_ones(self, peer, header):
        answer = Peer(header).setup()
        assert (answer.status_code, answer.json()['code']) == (401, 'credentials')
        assert RemoteProject.objects.count() == 0

    def test_tokens_in_each_way(self, peer, owner):
        key = Token.objects.get_or_create(user=owner)[0].key
        refused = Peer(f'Token {key}').get('/health')
        assert refused.status_code == 401
        assert 'Legacy tokens are switched off' in refused.json()['detail']
        owner.active_organization.jwt.legacy_api_tokens_enabled = True
        owner.active_organization.jwt.save()
        callers.forget()
        token = LSAPIToken.for_user(owner)
        full, access = token.get_full_jwt(), str(token.access_token)
        for header in (
            f'Token {key}',
            basic('token', key),
            f'Bearer {full}',
            f'Token {full}',
            basic('token', full),
            f'Bearer {access}',
        ):
            assert Peer(header).get('/health').status_code == 200, header
        token.blacklist()
        callers.forget()
        assert Peer(basic('token', full)).get('/health').status_code == 401


class TestBadInput:
    def test_an_unknown_backend_is_answered_with_those_there_are(self, peer, password):
        answer = Peer(password, 'nothing').get('/health')
        assert answer.status_code == 404
        assert '"nothing"' in answer.json()['detail']
        assert 'constant' in answer.json()['detail']

    def test_a_label_config_that_cannot_be_served(self, peer):
        answer = peer.setup(schema=TEXT_CONFIG)
        assert (answer.status_code, answer.json()['code']) == (400, 'label_config_not_served')
        assert '<Choices> on <Image>' in answer.json()['detail']
        # Label Studio shows people only the line with the status.
        assert '<Choices> on <Image>' in answer.reason_phrase
        assert RemoteProject.objects.count() == 0
        assert Project.objects.count() == 0
        answer = peer.post('/validate', {'config': TEXT_CONFIG})
        assert (answer.status_code, answer.json()['code']) == (422, 'label_config_not_served')
        assert peer.post('/validate', {'config': CHOICES_CONFIG}).status_code == 200

    @pytest.mark.parametrize(
        ('path', 'body', 'said'),
        [
            ('/predict', '{"tasks": [', 'not JSON'),
            ('/predict', '[1]', 'must be a JSON object'),
            ('/predict', {'project': PROJECT}, '"tasks"'),
            ('/predict', {'project': PROJECT, 'tasks': []}, '"tasks"'),
            ('/predict', {'project': PROJECT, 'tasks': [TASK, 7]}, '"tasks[1]"'),
            ('/predict', {'project': PROJECT, 'tasks': [{'id': 1}]}, '"tasks[0]"'),
            ('/predict', {'project': 'seven', 'tasks': [TASK]}, '"project"'),
            ('/predict', {'project': PROJECT, 'tasks': [TASK]}, 'label config'),
            ('/predict', {'project': PROJECT, 'tasks': [TASK], 'label_config': 5}, '"label_config"'),
            ('/predict', {'project': PROJECT, 'tasks': [TASK], 'params': {'context': 5}}, '"params.context"'),
            ('/setup', {'project': PROJECT, 'schema': CHOICES_CONFIG, 'extra_params': '{'}, '"extra_params"'),
            ('/setup', {'schema': CHOICES_CONFIG}, '"project"'),
            ('/setup', {'project': PROJECT, 'schema': '<View><Image'}, 'label config'),
            ('/webhook', {}, '"action"'),
            ('/webhook', {'action': 'START_TRAINING'}, '"project"'),
            ('/job_status', {'job': 'x'}, '"job"'),
            ('/validate', {}, '"config"'),
        ],
    )
    def test_a_message_that_is_wrong(self, peer, path, body, said):
        answer = peer.post(path, body)
        assert answer.status_code == 400, answer.content
        assert said in answer.json()['detail']
        assert RemoteProject.objects.count() == 0

    def test_a_method_that_is_wrong(self, peer):
        answer = peer.get('/predict')
        assert (answer.status_code, answer['Allow']) == (405, 'POST')

    def test_tasks_without_the_field(self, peer):
        missing = {'id': 9, 'data': {'text': 'one'}}
        answer = peer.predict(missing)
        assert answer.status_code == 422
        assert 'field "image" is missing' in answer.json()['detail']
        assert '"text"' in answer.json()['detail']
        first, second = peer.predict(TASK, missing).json()['results']
        assert first['result']
        # Label Studio passes over what has no result, and stores the others.
        assert 'result' not in second
        assert 'field "image" is missing' in second['error']

    def test_a_body_over_the_limit(self, peer, settings):
        settings.ML_PREDICT_MAX_BYTES = 1000
        answer = peer.predict(*[TASK] * 20)
        assert (answer.status_code, answer.json()['code']) == (413, 'too_large')

    def test_a_backend_that_raises(self, peer, inline_plugins, password):
        class Broken(MLBackend):
            serves = (Serves('Choices', 'Image'),)

            def predict(self, tasks, interaction=None):
                raise ValueError('out of cats')

        inline_plugins('broken', Broken)
        answer = Peer(password, 'broken').predict()
        assert answer.status_code in (422, 500)
        assert 'out of cats' in answer.json()['detail']

    def test_a_backend_that_was_switched_off_here(self, peer, owner):
        peer.setup()
        disable(RemoteProject.objects.get().project, 'constant', owner)
        answer = peer.predict()
        assert (answer.status_code, answer.json()['code']) == (403, 'not_enabled')

    def test_a_backend_that_has_to_be_trained_first(self, peer, inline_plugins, password):
        class Untrained(MLBackend):
            serves = (Serves('Choices', 'Image'),)
            needs_training = True

            def predict(self, tasks, interaction=None):
                raise AssertionError

        inline_plugins('untrained', Untrained)
        untrained = Peer(password, 'untrained')
        assert untrained.setup().status_code == 200
        answer = untrained.predict()
        assert (answer.status_code, answer.json()['code']) == (409, 'needs_training')


def test_what_belongs_to_another_organization_is_not_reached(peer, db):
    from label_studio.ml_host.upstream import Organization, User

    peer.setup()
    stranger = User.objects.create_user(email='stranger@example.org', password='secret-pass')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Others')
    stranger.save(update_fields=['active_organization'])
    other = Peer(basic('stranger@example.org', 'secret-pass'))
    assert other.post('/delete', {'project': PROJECT}).status_code == 404
    assert other.setup().status_code == 200
    assert RemoteProject.objects.count() == 2


def test_the_list_of_backends_and_the_metrics(peer):
    peer.base = '/ml'
    listed = {item['name']: item['url'] for item in peer.get('/').json()['backends']}
    assert listed['constant'] == 'http://testserver/ml/constant'
    peer.base = '/ml/constant'
    peer.predict()
    assert 'label_studio_ml_resident_models' in peer.get('/metrics').content.decode()


def test_a_connection_is_deleted(peer):
    peer.setup()
    assert peer.post('/delete', {'project': PROJECT}).status_code == 200
    assert (RemoteProject.objects.count(), Project.objects.count()) == (0, 0)
