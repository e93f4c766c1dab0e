"""Strategies run against each other over the labels of a project, by a real worker."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from label_studio.ml_host.analysis import reporter
from label_studio.ml_host.analysis.errors import AnalysisError
from label_studio.ml_host.models import ReplayRun
from label_studio.ml_host.replay import services
from label_studio.ml_host.training import worker
from label_studio.ml_host.upstream import Annotation
from ml_plugins.strategies import QueryStrategy
from tests.analysis.conftest import DigitsBackend, ProbableBackend, SilentBackend

pytestmark = pytest.mark.django_db(transaction=True)
QUICK = {'strategies': ['margin'], 'labels': 40, 'batch': 20, 'seeds': 2}


class Raising(QueryStrategy):
    name = 'raising'
    title = 'Raising'

    def score(self, pool, labeled, rng):
        raise ZeroDivisionError('no good')


class Waiting(QueryStrategy):
    """Says that it has begun, and waits until the test lets it go on."""

    name = 'waiting'
    title = 'Waiting'
    folder: Path

    def score(self, pool, labeled, rng):
        (self.folder / 'started').touch()
        while not (self.folder / 'go').exists():
            time.sleep(0.02)
        return np.arange(len(pool), dtype=float)


class Lethal(QueryStrategy):
    name = 'lethal'
    title = 'Lethal'

    def score(self, pool, labeled, rng):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def waiting(strategies, tmp_path):
    Waiting.folder = tmp_path
    strategies(Waiting, Raising, Lethal)
    return tmp_path


def start(api, base, **options):
    response = api.post(f'{base}replays/', {**QUICK, **options}, format='json')
    assert response.status_code == 202, response.content
    return ReplayRun.objects.get(pk=response.json()['id'])


def in_background(act, folder):
    """Does something once a strategy has begun; SIGTERM ends the worker in any case."""
    from django.db import connection

    def wait():
        for _ in range(6000):
            if (folder / 'started').exists():
                break
            time.sleep(0.02)
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_what_is_known_of_digits(enable, queue, label, api, base):
    enable()
    label(range(1200))
    options = {'strategies': ['automatic', 'entropy'], 'labels': 80, 'batch': 10, 'seeds': 4}
    run = start(api, base, **options)
    worker.run_worker(burst=True)
    found = api.get(f'{base}replays/{run.pk}/').json()
    assert (found['state'], found['percent'], found['error']) == ('finished', 100, '')
    result = found['result']
    assert (result['tasks'], result['classes'], result['control']) == (1200, 10, 'choice')
    assert result['features'] == 'embeddings of the model before its first training'
    curves = {curve['name']: curve for curve in result['curves']}
    assert set(curves) == {'automatic', 'entropy', 'random'}
    assert curves['automatic']['mean'] > curves['random']['mean'] > curves['entropy']['mean']
    assert result['recommended'] == 'automatic'
    assert 'points over random' in result['sentence']
    for curve in curves.values():
        assert [point[0] for point in curve['points']] == [10, 20, 30, 40, 50, 60, 70, 80]
        assert all(low <= mean <= high for _, mean, low, high in curve['points'])
        assert curve['seconds'] > 0
        assert curve['repetitions'] == 4


def test_the_model_is_asked_once_about_each_task(enable, label, work):
    row = enable()
    label(range(80))
    services.start(row.project, 'digits', QUICK)
    work()
    services.start(row.project, 'digits', QUICK)
    work()
    assert [run.state for run in ReplayRun.objects.all()] == ['finished', 'finished']
    assert len(DigitsBackend.asked) == 80


def test_probabilities_do_where_there_are_no_embeddings(enable, queue, label, api, base):
    enable(ProbableBackend)
    label(range(100))
    run = start(api, base, strategies=['automatic', 'core_set'])
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.result['features']) == (
        'finished',
        'class probabilities of the model before its first training',
    )
    arms = {arm['name']: arm for arm in run.result['arms']}
    assert arms['core_set']['error'] == 'The ML backend gives no embeddings.'
    assert arms['automatic']['runs']
    # By now it is known what the backend gives.
    refused = api.post(f'{base}replays/', {'strategies': ['core_set']}, format='json')
    assert (refused.status_code, refused.json()['code']) == (400, 'bad_analysis_option')
    assert '"core_set" cannot take part. The ML backend gives no embeddings.' in refused.json()['detail']


def test_a_backend_that_gives_nothing(enable, queue, label, api, base):
    enable(SilentBackend)
    label(range(80))
    run = start(api, base)
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert run.state == 'failed'
    assert run.error.startswith('ML backend "digits" gives neither embeddings nor class probabilities')
    assert run.traceback == ''


def test_too_few_labels_and_one_class(enable, queue, label, api, base):
    enable()
    label(range(10))
    refused = api.post(f'{base}replays/', QUICK, format='json')
    assert (refused.status_code, refused.json()['code']) == (409, 'cannot_analyse')
    assert refused.json()['detail'] == 'A replay needs 60 tasks labeled with "choice"; there are 10.'
    Annotation.objects.all().delete()
    label(range(70), ['7'] * 70)
    refused = api.post(f'{base}replays/', QUICK, format='json')
    assert refused.status_code == 409
    assert refused.json()['detail'] == 'All 70 tasks have the label "7"; a replay needs two labels or more.'
    assert not ReplayRun.objects.exists()


@pytest.mark.parametrize(
    ('options', 'status', 'words'),
    [
        ({'seeds': 0}, 400, 'seeds: 0 must be a whole number from 1 to 20'),
        ({'labels': 'many'}, 400, "labels: 'many' must be a whole number from 20 to 2000"),
        ({'batch': 30}, 400, 'batch: 30 labels between two models are too many for a curve of 40; choose 20 or fewer'),
        ({'strategies': ['best']}, 400, "strategies: there is no strategy 'best'; there are automatic"),
        ({'strategies': []}, 400, 'strategies: [] must be a list of names, at least one'),
        ({'strategies': ['bald']}, 400, 'strategies: "bald" cannot take part. The ML backend gives no answers of'),
        ({'control': 'other'}, 400, 'control: "other" is none of choice'),
        ({'speed': 1}, 400, 'speed: there is no such option; there are strategies, labels'),
    ],
)
def test_refused_options(enable, queue, label, api, base, options, status, words):
    enable()
    label(range(60))
    refused = api.post(f'{base}replays/', {**QUICK, **options}, format='json')
    assert (refused.status_code, refused.json()['code']) == (status, 'bad_analysis_option')
    assert refused.json()['detail'].startswith(words)


def test_other_controls_are_refused(enable, queue, label, project, api, base):
    enable()
    project.label_config = (
        '<View><Text name="t" value="$text"/><Labels name="l" toName="t"><Label value="a"/></Labels></View>'
    )
    with pytest.raises(AnalysisError, match=r'It needs a Choices control .* this project has Labels "l"'):
        services.start(project, 'digits', QUICK)


def test_who_may(enable, queue, label, base, project):
    from rest_framework.test import APIClient

    from label_studio.ml_host.upstream import Organization, User

    enable()
    label(range(60))
    assert APIClient().post(f'{base}replays/', QUICK, format='json').status_code == 401
    stranger = User.objects.create_user(email='other@example.org', password='secret-pass')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Others')
    stranger.save()
    client = APIClient()
    client.force_authenticate(stranger)
    assert client.post(f'{base}replays/', QUICK, format='json').status_code == 404
    assert not ReplayRun.objects.exists()


def test_a_strategy_that_raises_leaves_the_others_alone(enable, queue, label, api, base, waiting):
    enable()
    label(range(80))
    run = start(api, base, strategies=['raising', 'margin'])
    worker.run_worker(burst=True)
    result = api.get(f'{base}replays/{run.pk}/').json()['result']
    assert result['failed'] == {'raising': 'arm "raising" failed at 0 labels: no good'}
    assert {curve['name'] for curve in result['curves']} == {'margin', 'random'}


def test_a_strategy_that_hangs_is_interrupted(enable, queue, label, api, base, waiting, settings, monkeypatch):
    settings.ML_SAMPLING_TIMEOUT = 3.0
    monkeypatch.setattr(reporter, 'LOOK_EVERY', 0.1)
    enable()
    label(range(80))
    run = start(api, base, strategies=['waiting', 'margin'])
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert run.state == 'finished'
    assert [arm['error'] for arm in run.result['arms']] == ['it took more than 3 s', '', '']


def test_cancel_keeps_what_was_found(enable, queue, label, api, base, waiting, monkeypatch):
    monkeypatch.setattr(reporter, 'LOOK_EVERY', 0.1)
    monkeypatch.setattr(reporter, 'STOP_GRACE', 0.3)
    enable()
    label(range(80))
    run = start(api, base, strategies=['margin', 'waiting'])
    assert api.post(f'{base}replays/', QUICK, format='json').json()['code'] == 'analysis_under_way'
    thread = in_background(lambda: services.cancel(run), waiting)
    worker.run_worker(burst=True)
    thread.join()
    found = api.get(f'{base}replays/{run.pk}/').json()
    assert (found['state'], [curve['name'] for curve in found['result']['curves']]) == ('cancelled', ['margin'])
    again = start(api, base)
    assert api.post(f'{base}replays/{again.pk}/cancel/').json()['state'] == 'cancelled'
    worker.run_worker(burst=True)
    again.refresh_from_db()
    assert (again.state, again.attempts) == ('cancelled', 0)


def test_a_killed_worker_is_made_good(enable, queue, label, api, base, waiting, settings):
    settings.ML_RUN_ATTEMPTS = 2
    enable()
    label(range(80))
    run = start(api, base, strategies=['margin', 'lethal'])
    worker.run_worker(burst=True)
    run.refresh_from_db()
    # The strategy that took its process along twice is left out, and the others go on where they were.
    assert (run.state, run.attempts) == ('finished', 3)
    arms = {arm['name']: arm for arm in run.result['arms']}
    assert arms['lethal']['error'] == 'Its process was lost 2 times.'
    assert {len(arms[name]['runs']) for name in ('margin', 'random')} == {2}


def test_a_run_that_is_lost_too_often_fails(enable, queue, label, api, base, waiting, settings):
    settings.ML_RUN_ATTEMPTS = 0
    enable()
    label(range(80))
    run = start(api, base, strategies=['lethal'])
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert run.state == 'failed'
    assert run.error.startswith('The analysis process was killed (signal 9)')


def test_a_worker_that_stops_hands_it_back(enable, queue, label, api, base, waiting, monkeypatch):
    monkeypatch.setattr(reporter, 'LOOK_EVERY', 0.1)
    monkeypatch.setattr(reporter, 'STOP_GRACE', 0.3)
    enable()
    label(range(80))
    run = start(api, base, strategies=['margin', 'waiting'])
    thread = in_background(lambda: os.kill(os.getpid(), signal.SIGTERM), waiting)
    worker.run_worker()
    thread.join()
    run.refresh_from_db()
    assert (run.state, run.attempts, len(run.result['curves'])) == ('queued', 0, 1)
    (waiting / 'go').touch()
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.attempts, len(run.result['curves'])) == ('finished', 1, 3)


def test_trainings_do_not_wait_for_it(enable, queue, label, api, base, waiting):
    import django_rq

    enable()
    label(range(80))
    run = start(api, base, strategies=['margin', 'waiting'], seeds=1)
    order = waiting / 'order'

    def queue_another():
        django_rq.get_queue('ml_train').enqueue(note_state, str(order), run.pk)
        (waiting / 'go').touch()

    thread = in_background(queue_another, waiting)
    worker.run_worker(burst=True)
    thread.join()
    run.refresh_from_db()
    assert (run.state, len(run.result['curves'])) == ('finished', 3)
    # What came first was done while the replay waited, with two of its three strategies done.
    assert order.read_text() == 'queued 2 Trainings and pre-labeling go first'


def test_a_worker_that_trains_nothing_gives_way_to_nobody(enable, queue, label, api, base, tmp_path):
    import django_rq

    enable()
    label(range(60))
    run = start(api, base, seeds=1)
    trainings = django_rq.get_queue('ml_train')
    trainings.enqueue(note_state, str(tmp_path / 'order'), run.pk)
    worker.run_worker(['ml_analysis'], burst=True)
    run.refresh_from_db()
    assert (run.state, run.attempts, trainings.count) == ('finished', 1, 1)


def note_state(path, number):
    run = ReplayRun.objects.get(pk=number)
    Path(path).write_text(f'{run.state} {len(run.result["curves"])} {run.note.partition(";")[0]}')


def test_without_redis_nothing_is_left_behind(enable, label, api, base, monkeypatch, tmp_path):
    from django_rq.settings import QUEUES

    monkeypatch.setitem(QUEUES, 'ml_analysis', {'UNIX_SOCKET_PATH': str(tmp_path / 'none'), 'DB': 0})
    enable()
    label(range(60))
    refused = api.post(f'{base}replays/', QUICK, format='json')
    assert (refused.status_code, refused.json()['code']) == (503, 'queue_unavailable')
    assert not ReplayRun.objects.exists()


def test_a_backend_that_has_no_version(enable, queue, label, api, base):
    class Untrained(DigitsBackend):
        needs_training = True

        def fit(self, dataset, run):
            return {}

    enable(Untrained)
    label(range(60))
    refused = api.post(f'{base}replays/', QUICK, format='json')
    assert refused.json()['detail'] == 'ML backend "digits" has no version yet. Train it first.'
