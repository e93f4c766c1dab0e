"""`POST /predict`: what may be sent, what comes back, and what each mistake is answered with."""

import base64
import io
import threading
import time

import pytest
from PIL import Image
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from label_studio.ml_host.enabling.services import disable, enable
from label_studio.ml_host.models import ModelVersion
from ml_plugins import MLBackend, Prediction, Serves, TaskFailure

pytestmark = pytest.mark.django_db

TEXT_CONFIG = (
    '<View><Text name="text" value="$review"/><Labels name="label" toName="text"><Label value="name"/></Labels></View>'
)
BOX_CONFIG = (
    '<View><Image name="image" value="$photo"/><RectangleLabels name="box" toName="image">'
    '<Label value="cat"/></RectangleLabels></View>'
)


class Brightness(MLBackend):
    """Reads the picture: "cat" when it is bright, else "dog"."""

    serves = (Serves('Choices', 'Image'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Image')
        return [self._one(control, task) for task in tasks]

    def _one(self, control, task):
        bright = task.image(control.value).convert('L').getpixel((0, 0)) > 127
        return Prediction([control.choices('cat' if bright else 'dog', score=0.75)], score=0.75)


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new('RGB', (8, 8), (shade,) * 3).save(file, 'PNG')
    return file.getvalue()


def data_url(shade: int) -> str:
    return 'data:image/png;base64,' + base64.b64encode(picture(shade)).decode()


def choice(answer: dict) -> str:
    return answer['result'][0]['value']['choices'][0]


@pytest.fixture
def bright(inline_plugins, project, owner):
    inline_plugins('bright', Brightness)
    enable(project, 'bright', owner)
    return project


@pytest.fixture
def caller(owner):
    """Somebody with a token, as upstream's command line makes one."""
    owner.active_organization.jwt.legacy_api_tokens_enabled = True
    owner.active_organization.jwt.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f'Token {Token.objects.get(user=owner).key}')
    return client


def post(client, content, path='/predict', **extra):
    return client.post(path, content, format='json', **extra)


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


# --- Mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('sent', 'status', 'words'),
    [
        ({'sound': 'x'}, 400, ['"image"', 'missing', '"sound"']),
        ({}, 400, ['"image"', 'nothing']),
        ({'image': 5}, 400, ['"image"', '5', 'int']),
        ({'image': ['a', 'b']}, 400, ['"image"', 'list']),
        ({'image': ''}, 400, ['"image"', 'empty']),
        ('text', 400, ['object', 'str']),
        (7, 400, ['object', 'int']),
        ([], 400, ['empty']),
        ([{'image': 'x'}, 5], 400, ['Item 1', 'int']),
        ([{'image': 'x'}] * 101, 400, ['101', '100', 'ML_PREDICT_MAX_ITEMS']),
        ({'image': 'data:image/png;base64,AAAA'}, 422, ['"image"', 'picture']),
        ({'image_base64': '!!'}, 422, ['"image"', 'base64']),
        ({'image': 'http://127.0.0.1:9/x.png'}, 422, ['"image"', 'private', 'http://127.0.0.1:9/x.png']),
        ({'image': '/data/upload/1/none.png'}, 422, ['"image"']),
        ({'image': '/data/local-files/?d=../secret'}, 422, ['"image"']),
    ],
)
def test_wrong_items(bright, caller, sent, status, words):
    response = post(caller, sent)
    detail = response.json()['detail']
    assert response.status_code == status, detail
    assert all(word in detail for word in words), detail


def test_text_that_is_no_json(bright, caller):
    response = caller.post('/predict', '{"image": ', content_type='application/json')
    assert response.status_code == 400
    assert 'JSON' in response.json()['detail']


def test_another_content_type(bright, caller):
    response = caller.post('/predict', 'a,b', content_type='text/csv')
    assert response.status_code == 415
    assert 'text/csv' in str(response.json())


def test_an_upload_under_a_wrong_name(bright, caller):
    response = caller.post('/predict', {'sound': io.BytesIO(b'x')}, format='multipart')
    assert response.status_code == 400
    assert '"sound"' in response.json()['detail'] and '"image"' in response.json()['detail']


def test_another_method(bright, caller):
    assert caller.get('/predict').status_code == 405


def test_an_unknown_format(bright, caller):
    response = post(caller, {'image': data_url(0)}, '/predict?format=xml')
    assert response.status_code == 400
    assert '"format"' in response.json()['detail'] and 'xml' in response.json()['detail']


def test_a_body_over_the_limit(bright, caller, settings):
    settings.ML_PREDICT_MAX_BYTES = 1000
    response = post(caller, {'image': 'x' * 2000})
    assert response.status_code == 413
    assert '1,000' in response.json()['detail'] and 'ML_PREDICT_MAX_BYTES' in response.json()['detail']


@pytest.mark.parametrize(
    ('path', 'status', 'word'),
    [
        ('/predict?project=99999', 404, 'no project 99999'),
        ('/api/projects/99999/predict', 404, 'no project 99999'),
        ('/predict?project=one', 400, '"project"'),
        ('/predict?backend=none', 404, '"none"'),
        ('/predict?version=x', 404, '"x"'),
    ],
)
def test_unknown_targets(bright, caller, path, status, word):
    response = post(caller, {'image': data_url(0)}, path)
    assert response.status_code == status
    assert word in response.json()['detail']


def test_a_disabled_backend_answers_nobody(bright, caller, owner):
    disable(bright, 'bright', owner)
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 404
    assert 'enable one' in response.json()['detail']


def test_a_model_that_must_be_trained_first(inline_plugins, project, owner, caller):
    class Learner(Brightness):
        needs_training = True

    inline_plugins('learner', Learner)
    enable(project, 'learner', owner)
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 409
    assert 'trained' in response.json()['detail']


def test_one_bad_item_of_a_list_fails_alone(bright, caller):
    sent = [{'image': data_url(255)}, {'image': 'data:image/png;base64,AAAA'}, {'image': data_url(0)}]
    response = post(caller, sent)
    assert response.status_code == 200
    first, second, third = response.json()['predictions']
    assert (choice(first), choice(third)) == ('cat', 'dog')
    assert '"image"' in second['error']['detail'] and second['error']['code'] == 'task_data'


def test_a_failure_that_the_backend_reports(inline_plugins, project, owner, caller):
    class Picky(Brightness):
        def _one(self, control, task):
            return TaskFailure(task.id, 'too small for this model')

    inline_plugins('picky', Picky)
    enable(project, 'picky', owner)
    response = post(caller, {'image': data_url(0)})
    assert (response.status_code, response.json()['detail']) == (422, 'Too small for this model')


def test_a_backend_that_raises(inline_plugins, project, owner, caller):
    class Broken(Brightness):
        def _one(self, control, task):
            raise KeyError('weights')

    inline_plugins('broken', Broken)
    enable(project, 'broken', owner)
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 500
    assert 'broken failed' in response.json()['detail'] and 'weights' in response.json()['detail']


def test_a_backend_that_rests(inline_plugins, project, owner, caller):
    from label_studio.ml_host.serving import host

    inline_plugins('bright', Brightness)
    enable(project, 'bright', owner)
    breaker = host.runtime().breaker('bright', project.pk)
    for _ in range(3):
        breaker.failed()
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 503
    assert int(response['Retry-After']) >= 1


class Waiting(Brightness):
    """Answers when it is let go."""

    go = threading.Event()
    max_batch = 1

    def predict(self, tasks, interaction=None):
        type(self).go.wait(20)
        control = self.label_config.control('Choices', 'Image')
        return [Prediction([control.choices('cat')]) for _ in tasks]


@pytest.fixture
def waiting(inline_plugins, project, owner):
    Waiting.go.clear()
    inline_plugins('waiting', Waiting)
    enable(project, 'waiting', owner)
    yield Waiting
    Waiting.go.set()


def test_an_answer_that_takes_too_long(waiting, caller, settings):
    settings.ML_PREDICT_SERVICE_TIMEOUT = 0.2
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 504
    assert '0.2 s' in response.json()['detail']


def test_a_full_queue_says_when_to_come_back(waiting, caller, settings):
    settings.ML_QUEUE_TASKS = 2
    settings.ML_PREDICT_SERVICE_TIMEOUT = 0.2
    sent = [{'image': data_url(0)}] * 2
    assert post(caller, sent).status_code == 504
    settings.ML_PREDICT_SERVICE_TIMEOUT = 20
    answers = []

    from label_studio.ml_host.serving import host
    from ml_plugins.runtime import Priority
    from ml_plugins.types import Task

    [model] = host.loaded_models()
    # One is being computed; the queue is filled up behind it.
    while model.waiting < 2:
        answers.append(model.submit([Task(None, {'image': 'x'})], None, Priority.OPEN))
        time.sleep(0.01)
    response = post(caller, {'image': data_url(0)})
    assert response.status_code == 503
    assert int(response['Retry-After']) >= 1


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
