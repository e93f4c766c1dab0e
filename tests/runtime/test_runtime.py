"""Resident models: loaded once, batches shared, priorities kept, hanging and failing models contained."""

import threading
import time
from concurrent.futures import wait

import pytest

from ml_plugins import Interaction, MLBackend, Prediction, Serves, Task, TaskFailure
from ml_plugins.exceptions import BackendBusyError, CircuitOpenError, PredictTimeoutError
from ml_plugins.failures import failure_log
from ml_plugins.runtime import ModelSpec, Priority, Runtime, RuntimeLimits

CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)


class Recording(MLBackend):
    serves = (Serves('Choices', 'Image'),)
    max_batch = 4

    def setup(self):
        self.batches = []
        type(self).instances = [*getattr(type(self), 'instances', []), self]
        self.closed = False

    def predict(self, tasks, interaction=None):
        self.batches.append([task.id for task in tasks])
        return [self.answer(task) for task in tasks]

    def answer(self, task):
        control = self.label_config.control('Choices')
        return Prediction([control.choices('cat')], score=0.5)

    def close(self):
        self.closed = True


@pytest.fixture
def runtime():
    runtime = Runtime(RuntimeLimits(models=2, predict_seconds=0.6, breaker_failures=2, breaker_seconds=0.5))
    failure_log.clear()
    yield runtime
    runtime.close()


def spec(backend, project=1, version=None, plugin='recording'):
    return ModelSpec(plugin, project, CONFIG, lambda: backend, version_number=version)


def fresh(base=Recording, **members):
    return type('Backend', (base,), {'instances': [], **members})


def tasks(count, start=0):
    return [Task(number, {'image': 'x'}) for number in range(start, start + count)]


def test_a_model_is_loaded_once_and_batches_are_bounded(runtime):
    backend = fresh()
    futures = [runtime.submit(spec(backend), tasks(3, start)) for start in (0, 3, 6)]
    wait(futures)
    assert [len(future.result()) for future in futures] == [3, 3, 3]
    [instance] = backend.instances
    assert sum(map(len, instance.batches)) == 9
    assert max(map(len, instance.batches)) <= 4


def test_waiting_requests_share_a_batch_and_clicks_go_first(runtime):
    started, go = threading.Event(), threading.Event()

    def answer(self, task):
        started.set()
        go.wait(0.5)
        return Recording.answer(self, task)

    backend = fresh(answer=answer)
    first = runtime.submit(spec(backend), tasks(1))
    started.wait(2)
    bulk = runtime.submit(spec(backend), tasks(2, 10), priority=Priority.BULK)
    opened = [runtime.submit(spec(backend), tasks(1, 20)), runtime.submit(spec(backend), tasks(1, 30))]
    click = runtime.submit(spec(backend), tasks(1, 40), Interaction([{}]), Priority.INTERACTIVE)
    go.set()
    wait([first, bulk, click, *opened])
    assert backend.instances[0].batches == [[0], [40], [20, 30, 10, 11]]


def test_what_a_model_raises_reaches_the_caller_and_is_recorded(runtime):
    def answer(self, task):
        raise ValueError('no good')

    with pytest.raises(ValueError, match='no good'):
        runtime.submit(spec(fresh(answer=answer)), tasks(1)).result(2)
    [failure] = failure_log.of('recording')
    assert (failure.stage.value, failure.error) == ('predict', 'ValueError: no good')
    assert 'Traceback' in failure.traceback


def test_repeated_failures_open_the_breaker_until_it_has_rested(runtime):
    healthy = threading.Event()

    def answer(self, task):
        if not healthy.is_set():
            raise ValueError('no good')
        return Recording.answer(self, task)

    backend = fresh(answer=answer)
    for _ in range(2):
        with pytest.raises(ValueError, match='no good'):
            runtime.submit(spec(backend), tasks(1)).result(2)
    with pytest.raises(CircuitOpenError, match='failed 2 times in a row'):
        runtime.submit(spec(backend), tasks(1))
    assert 'resting' in runtime.breaker('recording', 1).describe()
    healthy.set()
    time.sleep(0.6)
    assert len(runtime.submit(spec(backend), tasks(1)).result(2)) == 1
    assert runtime.breaker('recording', 1).describe() == ''


def test_a_model_that_cannot_load_is_tried_again_later(runtime):
    fails = threading.Event()
    fails.set()

    def setup(self):
        if fails.is_set():
            raise OSError('no weights')
        Recording.setup(self)

    backend = fresh(setup=setup)
    with pytest.raises(OSError, match='no weights'):
        runtime.submit(spec(backend), tasks(1)).result(2)
    fails.clear()
    assert len(runtime.submit(spec(backend), tasks(1)).result(2)) == 1
    assert failure_log.of('recording')[0].stage.value == 'setup'


def test_a_hanging_model_is_given_up_and_replaced(runtime):
    hangs = threading.Event()
    hangs.set()

    def answer(self, task):
        if hangs.is_set():
            hangs.clear()
            time.sleep(3)
        return Recording.answer(self, task)

    backend = fresh(answer=answer)
    with pytest.raises(PredictTimeoutError, match='did not answer within'):
        runtime.submit(spec(backend), tasks(1)).result(4)
    assert len(runtime.submit(spec(backend), tasks(1)).result(2)) == 1
    assert len(backend.instances) == 2


@pytest.mark.parametrize(
    ('answer', 'reason'),
    [
        ({'choices': ['cat']}, 'returned dict, not a Prediction'),
        (lambda config: Prediction([config.control('Choices').choices('bird')]), 'bird'),
        (lambda config: Prediction([], score=float('nan')), 'score nan is not a number in 0..1'),
    ],
)
def test_rubbish_becomes_a_reason_for_that_task(runtime, answer, reason):
    def give(self, task):
        if task.id == 0:
            return answer(self.label_config) if callable(answer) else answer
        return Recording.answer(self, task)

    bad, good = runtime.submit(spec(fresh(answer=give)), tasks(2)).result(2)
    assert isinstance(bad, TaskFailure)
    assert reason in bad.reason
    assert isinstance(good, Prediction)


def test_a_wrong_number_of_answers_fails_the_batch(runtime):
    backend = fresh(predict=lambda self, tasks, interaction=None: [])
    with pytest.raises(Exception, match='0 items for 2 tasks'):
        runtime.submit(spec(backend), tasks(2)).result(2)


def test_the_least_recently_used_model_leaves(runtime):
    backend = fresh()
    for project in (1, 2, 1, 3):
        runtime.submit(spec(backend, project), tasks(1)).result(2)
    assert {model.spec.project_id for model in runtime.models()} == {1, 3}


def test_a_new_version_is_another_model_and_the_old_one_finishes_its_work(runtime):
    backend = fresh()
    runtime.submit(spec(backend, version=1), tasks(1)).result(2)
    new = spec(backend, version=2)
    runtime.warm(new).result(2)
    runtime.drop('recording', 1, keep=new.key)
    assert [model.spec.version_number for model in runtime.models()] == [2]


def test_a_full_queue_says_so():
    from ml_plugins.runtime.breaker import CircuitBreaker
    from ml_plugins.runtime.model import ResidentModel

    model = ResidentModel(spec(fresh()), CircuitBreaker(), lambda model: None, queue_limit=1)
    with pytest.raises(BackendBusyError, match='try again later'):
        model.submit(tasks(2), None, Priority.BULK)
    model.end()
