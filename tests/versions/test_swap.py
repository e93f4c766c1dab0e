"""A new version is loaded beside the old one, which predicts until then; nobody waits."""

import threading
import time

import pytest

from label_studio.ml_host.models import ModelVersion, ProjectBackend
from label_studio.ml_host.prelabeling import on_open
from label_studio.ml_host.serving import host, listener
from label_studio.ml_host.training.queueing import announce_version
from ml_plugins import MLBackend, Prediction, Serves
from ml_plugins.exceptions import ModelVersionError

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 10


class Gated(MLBackend):
    """Loads a version when the test lets it; says the version's number as score."""

    serves = (Serves('Choices', 'Image'),)
    gates: dict[int, threading.Event] = {}
    loads: list[int] = []

    def setup(self):
        number = self.version.number if self.version else 0
        self.loads.append(number)
        assert self.gates.setdefault(number, threading.Event()).wait(PATIENCE)
        if number == 13:
            raise ModelVersionError('the weights are of another network')
        self.number = number

    def predict(self, tasks, interaction=None):
        region = self.label_config.control('Choices').choices('cat')
        return [Prediction([region], score=self.number / 100) for _ in tasks]


@pytest.fixture
def gated(project, inline_plugins, owner, folders, monkeypatch):
    """The row of the backend; `serve(number)` puts a version in service behind everybody's back."""
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.serving.service import targets
    from ml_plugins.types import VersionFiles

    Gated.gates.clear()
    Gated.loads.clear()
    monkeypatch.setattr(host, '_version_files', lambda version: VersionFiles(version.number, folders))
    monkeypatch.setattr(host, 'LEAVING_SECONDS', 0.2)
    inline_plugins('gated', Gated)
    services.enable(project, 'gated', owner)
    yield project
    for gate in Gated.gates.values():
        gate.set()
    targets.forget()


def gate(number):
    return Gated.gates.setdefault(number, threading.Event())


def serve(project, number):
    version, _ = ModelVersion.objects.get_or_create(
        project=project, backend='gated', number=number, defaults={'directory': f'v{number}'}
    )
    ProjectBackend.objects.update(in_service=version)


def at_hand(project):
    row = ProjectBackend.objects.select_related('in_service', 'project').get()
    found = host.at_hand(row, project.label_config).in_service
    return found.number if found else None


def load(project, number):
    """Put a version in service and wait until this process predicts with it."""
    serve(project, number)
    listener._load(project.pk, 'gated')
    row = ProjectBackend.objects.select_related('in_service', 'project').get()
    until(lambda: host.runtime().is_ready(host.spec_for(row, project.label_config)))
    assert at_hand(project) == number


def numbers():
    return sorted(model.spec.version_number or 0 for model in host.loaded_models())


def until(check):
    end = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def predicted(project, api):
    answer = api.post(f'/api/projects/{project.pk}/predict', {'image': '/a.png'}, format='json')
    assert answer.status_code == 200, answer.content
    return answer.json()['model_version']


def test_the_one_before_predicts_until_the_new_one_is_loaded(gated, api):
    from label_studio.ml_host.upstream import Task

    gate(0).set()
    gate(1).set()
    assert predicted(gated, api) == 'gated-v0'
    serve(gated, 1)
    until(lambda: at_hand(gated) == 1)
    serve(gated, 2)
    assert at_hand(gated) == 1
    task = Task.objects.create(project=gated, data={'image': '/a.png'})
    made = on_open.predict(task, ProjectBackend.objects.select_related('in_service', 'connection', 'project').get())
    assert (made.model_version, made.score) == ('gated-v1', 0.01)
    gate(2).set()
    until(lambda: at_hand(gated) == 2)
    until(lambda: numbers() == [2])
    assert Gated.loads == [0, 1, 2]
    assert predicted(gated, api) == 'gated-v2'


def test_many_requests_while_it_loads_begin_one_load(gated, monkeypatch):
    gate(1).set()
    load(gated, 1)
    dismissed = []
    monkeypatch.setattr(host, '_dismiss_others', lambda where, spec: dismissed.append(spec.version_number))
    serve(gated, 2)
    assert [at_hand(gated) for _ in range(20)] == [1] * 20
    gate(2).set()
    until(lambda: at_hand(gated) == 2)
    until(lambda: 2 in dismissed)
    # By whoever notices first, the load or a request, or by both; the first load may end with its own dismissal late.
    assert dismissed.count(2) <= 2
    assert set(dismissed) <= {1, 2}
    assert Gated.loads == [1, 2]


def test_the_first_model_of_a_process_is_the_one_in_service(gated):
    serve(gated, 1)
    gate(1).set()
    assert at_hand(gated) == 1


def test_a_version_that_does_not_load_leaves_the_one_before_at_work(gated):
    for number in (1, 13):
        gate(number).set()
        serve(gated, number)
        listener._load(gated.pk, 'gated')
        until(lambda number=number: number in Gated.loads)
        until(lambda: numbers() == [1])
        until(lambda: at_hand(gated) == 1)
    for _ in range(5):
        listener.look()
        assert at_hand(gated) == 1
    assert Gated.loads == [1, 13], 'it rests, and is not tried at every look'


def test_going_back_at_once_keeps_the_one_that_is_still_there(gated):
    for number in (1, 2):
        gate(number).set()
        load(gated, number)
    serve(gated, 1)
    assert at_hand(gated) == 1
    until(lambda: numbers() == [1])
    assert Gated.loads == [1, 2]


def test_the_database_is_looked_at_only_for_models_in_memory(gated, django_assert_num_queries):
    serve(gated, 1)
    with django_assert_num_queries(0):
        assert listener.look() == 0
    gate(1).set()
    load(gated, 1)
    with django_assert_num_queries(1):
        assert listener.look() == 0
    gate(2).set()
    serve(gated, 2)
    assert listener.look() == 1
    until(lambda: at_hand(gated) == 2)


def test_a_full_process_does_not_load_what_nobody_uses_here(gated, settings):
    settings.ML_RESIDENT_MODELS = 0
    serve(gated, 1)
    listener._load(gated.pk, 'gated')
    assert Gated.loads == []


def test_the_new_one_pushes_nobody_out(gated, settings):
    settings.ML_RESIDENT_MODELS = 1
    gate(1).set()
    load(gated, 1)
    serve(gated, 2)
    assert at_hand(gated) == 1
    until(lambda: Gated.loads == [1, 2])
    assert at_hand(gated) == 1
    gate(2).set()
    until(lambda: at_hand(gated) == 2)


def test_a_message_is_heard_at_once(gated, queue):
    gate(1).set()
    serve(gated, 1)
    heard = listener._Listener()
    heard._messages = heard._subscribe()
    announce_version(gated.pk, 'gated')

    def is_loaded():
        # It only hears; looking at the database is done elsewhere.
        heard._looked_at = time.monotonic() - listener.LOOK_SECONDS * 0.9
        heard._hear()
        return Gated.loads == [1]

    until(is_loaded)


def test_a_queue_that_is_away_is_tried_again_later(gated, monkeypatch):
    monkeypatch.setattr(listener, 'RETRY_SECONDS', 100.0)
    heard = listener._Listener()
    monkeypatch.setattr(heard, '_subscribe', _refuse)
    heard._looked_at = time.monotonic() - listener.LOOK_SECONDS
    heard._hear()
    assert heard._messages is None
    assert heard._connect_at > time.monotonic() + 90


def _refuse():
    raise ConnectionError('connection refused')
