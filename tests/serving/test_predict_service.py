"""`POST /predict`: what may be sent, what comes back, and who may call."""

import base64
import io

import pytest
from rest_framework.test import APIClient

from label_studio.ml_host.enabling.services import enable
from label_studio.ml_host.models import ModelVersion
from ml_plugins import MLBackend, Prediction, Serves
from tests.serving.brightness import BOX_CONFIG, TEXT_CONFIG, Brightness, choice, data_url, picture, post

pytestmark = pytest.mark.django_db


# --- What may be sent -------------------------------------------------------------------------------------------------


def test_one_object_is_answered_by_its_prediction(bright, caller):
    response = post(caller, {'image': data_url(255)})
    assert response.status_code == 200
    answer = response.json()
    assert answer == {
        'backend': 'bright',
        'project': bright.pk,
        'model_version': 'bright-v0',
        'result': [
            {
                'from_name': 'choice',
                'to_name': 'image',
                'type': 'choices',
                'value': {'choices': ['cat']},
                'score': 0.75,
            }
        ],
        'score': 0.75,
    }


@pytest.mark.parametrize('path', ['/predict', '/predict/', '/api/projects/{}/predict', '/api/projects/{}/predict/'])
def test_every_address_answers(bright, caller, path):
    assert choice(post(caller, {'image': data_url(0)}, path.format(bright.pk)).json()) == 'dog'


@pytest.mark.parametrize(
    'sent',
    [
        {'image': data_url(255)},
        {'image_url': data_url(255)},
        {'image_base64': base64.b64encode(picture(255)).decode()},
        {'data': {'image': data_url(255)}},
        {'data': {'image_url': data_url(255)}},
    ],
)
def test_shapes_and_names_that_mean_the_same(bright, caller, sent):
    assert choice(post(caller, sent).json()) == 'cat'


@pytest.mark.parametrize('wrap', [list, lambda items: {'tasks': items}])
def test_a_list_is_answered_in_its_order(bright, caller, wrap):
    answer = post(caller, wrap([{'image': data_url(255)}, {'data': {'image': data_url(0)}}])).json()
    assert [choice(item) for item in answer['predictions']] == ['cat', 'dog']
    assert answer['backend'] == 'bright'


@pytest.mark.parametrize('name', ['image', 'file'])
def test_an_uploaded_file(bright, caller, name):
    response = caller.post('/predict', {name: io.BytesIO(picture(255))}, format='multipart')
    assert choice(response.json()) == 'cat'


def test_several_uploaded_files_are_several_items(bright, caller):
    response = caller.post(
        '/predict', {'image': [io.BytesIO(picture(0)), io.BytesIO(picture(255))]}, format='multipart'
    )
    assert [choice(item) for item in response.json()['predictions']] == ['dog', 'cat']


def test_a_backend_may_ask_for_a_path_of_an_uploaded_file(inline_plugins, project, owner, caller):
    paths = []

    class Reader(Brightness):
        def _one(self, control, task):
            paths.append(task.path('image'))
            assert paths[-1].read_bytes() == picture(9)
            return Prediction([control.choices('cat')])

    inline_plugins('reader', Reader)
    enable(project, 'reader', owner)
    assert caller.post('/predict', {'image': io.BytesIO(picture(9))}, format='multipart').status_code == 200
    assert not paths[0].exists()


def test_nothing_is_stored(bright, caller):
    from label_studio.ml_host.upstream import Prediction as StoredPrediction
    from label_studio.ml_host.upstream import Task

    post(caller, {'image': data_url(0)})
    assert not Task.objects.exists()
    assert not StoredPrediction.objects.exists()


# --- Formats ----------------------------------------------------------------------------------------------------------


def test_simple_labels(bright, caller):
    answer = post(caller, {'image': data_url(255)}, '/predict?format=simple').json()
    assert answer['labels'] == [{'control': 'choice', 'label': 'cat', 'score': 0.75}]
    assert answer['score'] == 0.75
    assert 'result' not in answer


def test_simple_spans(inline_plugins, project, owner, caller):
    class Namer(MLBackend):
        serves = (Serves('Labels', 'Text'),)

        def predict(self, tasks, interaction=None):
            control = self.label_config.control('Labels', 'Text')
            return [Prediction([control.span(0, 3, 'name', task.text('review')[:3], 0.5)]) for task in tasks]

    project.label_config = TEXT_CONFIG
    project.save()
    inline_plugins('namer', Namer)
    enable(project, 'namer', owner)
    answer = post(caller, {'text': 'Ada wrote it'}, '/predict?format=simple').json()
    assert answer['spans'] == [{'control': 'label', 'label': 'name', 'start': 0, 'end': 3, 'text': 'Ada', 'score': 0.5}]


def test_simple_boxes_also_in_pixels(inline_plugins, project, owner, caller):
    class Boxer(MLBackend):
        serves = (Serves('RectangleLabels', 'Image'),)

        def predict(self, tasks, interaction=None):
            control = self.label_config.control('RectangleLabels', 'Image')
            box = control.rectangle(10, 20, 30, 40, 'cat', 0.9, original_width=200, original_height=100)
            return [Prediction([box]) for _ in tasks]

    project.label_config = BOX_CONFIG
    project.save()
    inline_plugins('boxer', Boxer)
    enable(project, 'boxer', owner)
    [box] = post(caller, {'image_url': data_url(0)}, '/predict?format=simple').json()['boxes']
    assert (box['label'], box['x'], box['width'], box['score']) == ('cat', 10, 30, 0.9)
    assert box['pixels'] == {'x': 20, 'y': 20, 'width': 60, 'height': 40}


# --- Which model ------------------------------------------------------------------------------------------------------


def test_several_backends_have_to_be_told_apart(bright, constant, owner, caller):
    enable(bright, 'constant', owner)
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 400
    assert 'bright on project' in response.json()['detail'] and 'constant on project' in response.json()['detail']
    assert choice(post(caller, {'image': data_url(0)}, '/predict?backend=bright').json()) == 'dog'
    assert (
        choice(post(caller, {'image': data_url(0)}, f'/predict?project={bright.pk}&backend=constant').json()) == 'cat'
    )


def test_a_version_by_number_and_by_name(inline_plugins, project, owner, caller, monkeypatch):
    from label_studio.ml_host.serving import host
    from ml_plugins import VersionFiles

    class Versioned(Brightness):
        def predict(self, tasks, interaction=None):
            control = self.label_config.control('Choices', 'Image')
            number = self.version.number if self.version else 0
            return [Prediction([control.choices('cat')], score=number / 10) for _ in tasks]

    monkeypatch.setattr(host, '_version_files', lambda version: VersionFiles(version.number, host.settings.ML_WORK_DIR))
    inline_plugins('versioned', Versioned)
    row = enable(project, 'versioned', owner)
    versions = [ModelVersion.objects.create(project=project, backend='versioned', number=n) for n in (1, 2)]
    row.in_service = versions[1]
    row.save()
    asked = {'': 0.2, '?version=1': 0.1, '?version=versioned-v1': 0.1, '?version=0': 0.0}
    for query, score in asked.items():
        assert post(caller, {'image': 'x'}, f'/predict{query}').json()['score'] == score
    response = post(caller, {'image': 'x'}, '/predict?version=7')
    assert response.status_code == 404
    assert 'no version "7"' in response.json()['detail'] and '2, 1' in response.json()['detail']


# --- Who may call -----------------------------------------------------------------------------------------------------


def test_without_a_token(bright):
    assert post(APIClient(), {'image': data_url(0)}).status_code == 401


def test_anonymous_callers_where_the_server_lets_them(bright, settings):
    settings.ML_PREDICT_ANONYMOUS = True
    assert choice(post(APIClient(), {'image': data_url(255)}).json()) == 'cat'


@pytest.mark.parametrize(
    'address',
    ['/data/upload/{}/x.png', '/data/local-files/?d=x.png', 's3://bucket/x.png', '/tasks/1/resolve/?fileuri=x'],
)
def test_anonymous_callers_reach_nothing_of_the_project(bright, settings, address):
    settings.ML_PREDICT_ANONYMOUS = True
    response = post(APIClient(), {'image': address.format(bright.pk)})
    assert response.status_code == 422
    assert 'without a token' in response.json()['detail']


def test_another_organization_sees_no_backend(bright):
    from label_studio.ml_host.upstream import Organization, User

    stranger = User.objects.create_user(email='stranger@example.org', password='secret-pass')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    client = APIClient()
    client.force_authenticate(stranger)
    assert post(client, {'image': data_url(0)}).status_code == 404
    assert post(client, {'image': data_url(0)}, f'/api/projects/{bright.pk}/predict').status_code == 404


def test_it_stands_in_the_api_description(api):
    schema = api.get('/docs/api/schema/json/').json()
    paths = [path for path in schema['paths'] if path.rstrip('/').endswith('predict')]
    assert '/predict' in {path.rstrip('/') for path in paths}
    assert any(path.startswith('/api/projects/{') for path in paths)
