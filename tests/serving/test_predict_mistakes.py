"""`POST /predict`: what each mistake and each trouble is answered with."""

import io
import threading
import time

import pytest

from label_studio.ml_host.enabling.services import disable, enable
from ml_plugins import Prediction, TaskFailure
from tests.serving.brightness import Brightness, choice, data_url, post

pytestmark = pytest.mark.django_db


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
