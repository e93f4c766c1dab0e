"""Bulk runs with a backend that is connected by URL: batches, retries, progress, and errors that say what is wrong."""

import pytest

from label_studio.ml_host.http_backends import client
from label_studio.ml_host.models import PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.upstream import Prediction, Task, UpstreamMLBackend
from tests.prelabeling.drive import finish, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch, settings):
    monkeypatch.setattr(client, 'PAUSES', (0.01, 0.01))
    settings.ML_BREAKER_SECONDS = 0.2


@pytest.fixture
def retrieve(api, project, connected):
    """Presses Retrieve Predictions for all tasks, and works the run off."""

    def ask():
        body = {'selectedItems': {'all': True, 'excluded': []}, 'project': project.pk}
        answer = api.post(f'/api/dm/actions?id=retrieve_tasks_predictions&project={project.pk}', body, format='json')
        assert answer.status_code == 200, answer.content
        return finish(PrelabelRun.objects.get(pk=answer.json()['run']))

    return ask


def test_retrieving_predictions_is_a_run_in_batches(retrieve, model, project, connected):
    make_tasks(project, 20)
    run = retrieve()
    assert (run.state, run.label, run.backend) == ('finished', 'one', f'http-{connected.pk}')
    assert sorted(model.predicted()) == [4, 8, 8]
    assert runs.progress(run).done == 20
    stored = Prediction.objects.all()
    assert {(item.model_version, item.score, item.result[0]['value']['choices'][0]) for item in stored} == {
        ('one', 0.75, 'cat')
    }
    assert len(stored) == 20
    assert set(Task.objects.values_list('total_predictions', flat=True)) == {1}
    body = model.asked[-1][1]
    assert body['label_config'] == project.label_config
    # What is predicted already is not asked for again.
    assert retrieve().state == 'finished'
    assert len(model.predicted()) == 3
    # They stay when the backend goes.
    connected.delete()
    assert Prediction.objects.count() == 20


def test_a_new_version_predicts_anew(retrieve, model, project):
    make_tasks(project, 2)
    retrieve()
    model.version = 'two'
    assert retrieve().label == 'two'
    assert set(Prediction.objects.values_list('model_version', flat=True)) == {'one', 'two'}


def test_what_passes_is_tried_again(retrieve, model, project):
    make_tasks(project, 8)
    model.statuses = [503, 502]
    run = retrieve()
    assert (run.state, runs.progress(run).done) == ('finished', 8)
    assert model.predicted() == [8, 8, 8]


def test_one_task_that_breaks_the_backend_breaks_only_itself(retrieve, model, project, api, connected):
    bad = make_tasks(project, 8)[3]
    original = model.answer

    def answer(path, body):
        if path == '/predict' and any(task['id'] == bad for task in body['tasks']):
            model.asked.append((path, body))
            return 500, {'detail': 'KeyError: image'}
        return original(path, body)

    model.answer = answer
    run = retrieve()
    assert (run.state, runs.progress(run).done, runs.progress(run).failed) == ('finished', 7, 1)
    failure = run.failures.get()
    assert failure.task_id == bad
    assert 'answers 500: KeyError: image' in failure.reason
    assert 'ML backend "mine"' in failure.reason
    # It is mended, and the failed one is tried again.
    model.answer = original
    path = f'/api/projects/{project.pk}/ml-backends/http-{connected.pk}/prelabel-runs/'
    answer = api.post(f'{path}{run.pk}/retry-failed/')
    assert answer.status_code == 202, answer.content
    assert runs.progress(finish(PrelabelRun.objects.get(pk=answer.json()['id']))).done == 1
    assert [item['label'] for item in api.get(path).json()] == ['one', 'one']


def test_a_backend_for_single_tasks_is_asked_one_by_one(retrieve, model, project):
    make_tasks(project, 5)
    model.results = lambda tasks: [model.result(tasks[0])]
    assert runs.progress(retrieve()).done == 5
    assert sorted(model.predicted()) == [1, 1, 1, 1, 1, 5]


@pytest.mark.parametrize(
    ('results', 'said'),
    [
        (lambda tasks: [], 'answered 0 predictions for'),
        (lambda tasks: [{'score': 1}] * len(tasks), 'without a "result"'),
        (lambda tasks: [{'error': 'no such picture'}] * len(tasks), 'no such picture'),
        (lambda tasks: [{'result': [{'type': 'choices'}]}] * len(tasks), "no 'from_name'"),
        (
            lambda tasks: (
                [
                    {
                        'result': [
                            {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['x']}}
                        ]
                    }
                ]
                * len(tasks)
            ),
            'x',
        ),
    ],
)
def test_answers_that_are_no_predictions_are_said(retrieve, model, project, results, said):
    make_tasks(project, 2)
    model.results = results
    run = retrieve()
    assert Prediction.objects.count() == 0
    assert said in run.failures.first().reason


@pytest.mark.parametrize('result', ['cat', {'choices': ['cat']}])
def test_a_label_alone_is_understood_as_upstream_does(retrieve, model, project, result):
    make_tasks(project, 1)
    model.result = lambda task: {'result': result, 'score': 1}
    retrieve()
    assert Prediction.objects.get().result[0]['value'] == {'choices': ['cat']}


def test_a_version_that_changes_during_a_run_is_not_mixed_up(retrieve, model, project):
    make_tasks(project, 16)
    versions = iter(['one'] + ['two'] * 50)

    def results(tasks):
        version = next(versions)
        return [{**model.result(task), 'model_version': version} for task in tasks]

    model.results = results
    run = retrieve()
    assert 'It answers as version two now' in run.failures.first().reason
    assert set(Prediction.objects.values_list('model_version', flat=True)) == {'one'}


class TestAway:
    def test_a_start_says_so_at_once(self, project, api, connected, model):
        make_tasks(project, 3)
        model.stop()
        path = f'/api/projects/{project.pk}/ml-backends/http-{connected.pk}/prelabel-runs/'
        answer = api.post(path)
        assert (answer.status_code, answer.json()['code']) == (409, 'http_backend_away')
        assert 'ML backend "mine"' in answer.json()['detail']
        assert not PrelabelRun.objects.exists()

    def test_one_that_goes_during_a_run_ends_it_and_it_is_resumed(self, project, connected, model, owner):
        make_tasks(project, 40)
        original = model.answer

        def answer(path, body):
            if path == '/predict' and len(model.predicted()) >= 2:
                model.asked.append((path, body))
                return 503, {'detail': 'model server restarts'}
            return original(path, body)

        model.answer = answer
        run = finish(runs.start(project, f'http-{connected.pk}', user=owner))
        assert run.state == 'failed'
        assert 'answers 503: model server restarts' in run.error
        assert runs.progress(run).done == Prediction.objects.count() <= 16
        assert runs.progress(run).failed == 0
        model.answer = original
        runs.resume(run)
        run = finish(run)
        assert (run.state, runs.progress(run).failed) == ('finished', 0)
        assert Prediction.objects.count() == 40

    def test_a_private_address_that_nobody_named(self, project, api, connected, settings, model):
        make_tasks(project, 3)
        settings.ML_ALLOWED_BACKEND_URLS = []
        answer = api.post(f'/api/projects/{project.pk}/ml-backends/http-{connected.pk}/prelabel-runs/')
        assert answer.status_code == 409
        assert 'ML_ALLOWED_BACKEND_URLS' in answer.json()['detail']
        assert model.predicted() == []
        refused = api.post('/api/ml', {'project': project.pk, 'url': model.url, 'title': 'again'}, format='json')
        assert refused.status_code in (400, 403)

    def test_one_that_is_not_connected(self, project, api, db):
        answer = api.post(f'/api/projects/{project.pk}/ml-backends/http-999/prelabel-runs/')
        assert answer.status_code == 404


def test_a_run_ends_when_the_backend_is_disconnected(project, connected, owner):
    make_tasks(project, 3)
    run = runs.start(project, f'http-{connected.pk}', user=owner)
    UpstreamMLBackend.objects.get(pk=connected.pk).delete()
    run.refresh_from_db()
    assert run.state == 'cancelled'
    assert 'was disconnected' in run.error


def test_the_page_shows_it_and_starts_a_run(project, connected, press, browser):
    make_tasks(project, 3)
    page = browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()
    assert 'By URL' in page
    assert f'http-{connected.pk}' in page
    start = press(f'http-{connected.pk}/prelabel/start/')
    assert start.status_code == 200
    run = finish(PrelabelRun.objects.get())
    shown = browser.get(f'/projects/{project.pk}/ml-backends/http-{connected.pk}/prelabel/').content.decode()
    assert '3 done of 3 tasks' in shown
    assert run.state == 'finished'
    form = browser.get(f'/api/dm/actions/prelabel_tasks/form/?project={project.pk}')
    assert f'http-{connected.pk}' in form.content.decode()


@pytest.mark.parametrize('button', ['enable', 'disable', 'train', 'reset', 'prelabel/new'])
def test_buttons_of_plugins_are_not_for_it(connected, press, button):
    assert press(f'http-{connected.pk}/{button}/').status_code == 404
    assert not ProjectBackend.objects.exists()
