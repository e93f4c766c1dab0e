"""What goes wrong in a model costs as little as it can: one task, one batch, or one load."""

import threading
from types import SimpleNamespace

import pytest

from ml_plugins import Prediction, TaskFailure
from ml_plugins.exceptions import BackendCrashError, CircuitOpenError, PredictTimeoutError
from ml_plugins.failures import failure_log
from ml_plugins.runtime import Priority, Runtime, RuntimeLimits, batching, metrics
from ml_plugins.runtime.memory import is_out_of_memory
from ml_plugins.runtime.notes import MOST
from tests.runtime.models import PATIENCE, Gated, Recording, closed_gate, eventually, fresh, scores, spec, tasks


@pytest.fixture
def make_runtime():
    failure_log.clear()
    made = []

    def make(**limits):
        made.append(Runtime(RuntimeLimits(**limits)))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def runtime(make_runtime):
    return make_runtime()


def raises_on(*poison, error=ValueError):
    def answer(self, task):
        if task.id in poison:
            raise error(f'no good: {task.id}')
        return Recording.answer(self, task)

    return answer


# --- One poisonous task ----------------------------------------------------------------------------------------------


def test_only_the_poisonous_task_of_a_batch_fails(runtime):
    backend = fresh(max_batch=8, answer=raises_on(5))
    answers = scores(runtime.submit(spec(backend), tasks(8)))
    assert answers == [0, 1, 2, 3, 4, 'ValueError: no good: 5', 6, 7]
    [failure] = failure_log.of('recording')
    assert failure.error == 'ValueError: no good: 5'
    assert runtime.breaker('recording', 1).describe() == ''


def test_a_wrong_number_of_answers_fails_only_the_task_it_comes_from(runtime):
    def predict(self, tasks, interaction=None):
        return [self.answer(task) for task in tasks if task.id != 2]

    answers = scores(runtime.submit(spec(fresh(predict=predict)), tasks(4)))
    assert answers == [0, 1, 'predict returned 0 items for 1 tasks', 3]


def test_requests_that_share_a_batch_with_poison_are_answered(runtime):
    backend = fresh(Gated, max_batch=8, answer=raises_on(1, 2, 12))
    closed_gate(runtime, backend)
    opened = [runtime.submit(spec(backend), tasks(1, number)) for number in range(3)]
    bulk = runtime.submit(spec(backend), tasks(4, 10), priority=Priority.BULK)
    backend.gate.set()
    assert scores(opened[0]) == [0]
    for number in (1, 2):
        with pytest.raises(ValueError, match=f'no good: {number}'):
            opened[number].result(PATIENCE)
    assert scores(bulk) == [10, 11, 'ValueError: no good: 12', 13]


def test_a_batch_that_only_fails_as_a_whole_is_mended_by_splitting_it(runtime):
    def predict(self, tasks, interaction=None):
        if len(tasks) > 2:
            raise ValueError('too many')
        return Recording.predict(self, tasks)

    assert scores(runtime.submit(spec(fresh(predict=predict)), tasks(4))) == [0, 1, 2, 3]
    assert failure_log.of('recording') == []


def test_a_model_that_leaves_is_only_its_batch(runtime):
    answers = scores(runtime.submit(spec(fresh(answer=raises_on(1, error=SystemExit))), tasks(3)))
    assert answers == [0, "RuntimeError: SystemExit('no good: 1')", 2]


# --- A broken model --------------------------------------------------------------------------------------------------


def test_when_nothing_succeeds_the_batch_counts_once(make_runtime):
    runtime = make_runtime(breaker_failures=2)
    backend = fresh(answer=raises_on(*range(100)))
    with pytest.raises(ValueError, match='no good: 0'):
        runtime.submit(spec(backend), tasks(4)).result(PATIENCE)
    assert len(failure_log.of('recording')) == 1
    assert not runtime.breaker('recording', 1).is_open
    with pytest.raises(ValueError, match='no good: 4'):
        runtime.submit(spec(backend), tasks(4, 4)).result(PATIENCE)
    assert runtime.breaker('recording', 1).is_open


def test_invalid_answers_count_once_a_batch_and_only_when_none_is_valid(make_runtime):
    runtime = make_runtime(breaker_failures=1)
    half = fresh(answer=lambda self, task: 'rubbish' if task.id % 2 else Recording.answer(self, task))
    assert scores(runtime.submit(spec(half), tasks(2))) == [0, 'task 1: predict returned str, not a Prediction']
    assert len(failure_log.of('recording')) == 1
    assert not runtime.breaker('recording', 1).is_open
    whole = fresh(answer=lambda self, task: 'rubbish')
    [answer] = runtime.submit(spec(whole, version=2), tasks(1)).result(PATIENCE)
    assert isinstance(answer, TaskFailure)
    assert runtime.breaker('recording', 1).is_open


def test_splitting_a_broken_model_ends_when_patience_does():
    sizes = []

    def call(tasks, interaction):
        sizes.append(len(tasks))
        raise ValueError('broken')

    outcome = batching.compute(call, tasks(8), None, patience=-1)
    assert sizes == [8]
    assert [str(answer) for answer in outcome.answers] == ['broken'] * 8


def test_patience_does_not_end_where_something_succeeds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(batching, 'time', SimpleNamespace(monotonic=lambda: now[0]))

    def call(tasks, interaction):
        if any(task.id == 7 for task in tasks):
            raise ValueError('broken')
        now[0] = 100.0
        return [None] * len(tasks)

    outcome = batching.compute(call, tasks(8), None, patience=50.0)
    assert outcome.answers[:7] == [None] * 7
    assert str(outcome.answers[7]) == 'broken'


def test_when_the_breaker_opens_what_waits_is_refused(make_runtime):
    runtime = make_runtime(breaker_failures=1)
    backend = fresh(Gated, answer=raises_on(999))
    first = closed_gate(runtime, backend)
    waiting = runtime.submit(spec(backend), tasks(2))
    backend.gate.set()
    with pytest.raises(ValueError, match='no good: 999'):
        first.result(PATIENCE)
    with pytest.raises(CircuitOpenError, match='failed 1 times in a row'):
        waiting.result(PATIENCE)
    assert backend.instances[0].batches == [[999]]


def test_a_request_of_which_a_part_was_computed_keeps_that_part(make_runtime):
    runtime = make_runtime(breaker_failures=1)
    backend = fresh(max_batch=2, answer=raises_on(2, 3))
    answers = runtime.submit(spec(backend), tasks(6), priority=Priority.BULK).result(PATIENCE)
    assert [isinstance(answer, Prediction) for answer in answers] == [True, True, False, False, False, False]
    assert answers[3].reason == 'ValueError: no good: 3'
    assert 'failed 1 times in a row' in answers[4].reason


def test_a_request_that_failed_from_the_start_says_how_and_not_that_the_model_rests(make_runtime):
    # Who is told that the model rests comes again, with the same tasks.
    runtime = make_runtime(breaker_failures=1)
    backend = fresh(max_batch=2, answer=raises_on(*range(6)))
    with pytest.raises(ValueError, match='no good: 0'):
        runtime.submit(spec(backend), tasks(6), priority=Priority.BULK).result(PATIENCE)


def test_many_failing_batches_do_not_flood_the_log(runtime):
    count = 2 * MOST
    backend = fresh(max_batch=2, answer=raises_on(*range(0, 2 * count, 2)))
    answers = runtime.submit(spec(backend, plugin='flooding'), tasks(2 * count)).result(PATIENCE)
    assert [isinstance(answer, TaskFailure) for answer in answers] == [True, False] * count
    assert len(failure_log.of('flooding')) == MOST
    assert (
        f'label_studio_ml_failures_total{{plugin="flooding",stage="predict"}} {float(count)}' in metrics.text().decode()
    )


# --- Memory ----------------------------------------------------------------------------------------------------------

OutOfMemoryError = type('OutOfMemoryError', (RuntimeError,), {})


@pytest.mark.parametrize(
    'error',
    [MemoryError(), OutOfMemoryError('tried to allocate 2 GiB'), RuntimeError('CUDA error: out of memory')],
    ids=['python', 'torch', 'message'],
)
def test_out_of_memory_halves_the_batches_and_loses_nothing(runtime, error):
    def predict(self, tasks, interaction=None):
        answers = Recording.predict(self, tasks)
        if len(tasks) > 3:
            raise error
        return answers

    backend = fresh(predict=predict, max_batch=8)
    assert scores(runtime.submit(spec(backend), tasks(16))) == list(range(16))
    [instance] = backend.instances
    assert [len(batch) for batch in instance.batches] == [8, 4, 2, 2, 4, 2, 2] + [2] * 4
    assert runtime.models()[0].batch_limit == 2
    assert failure_log.of('recording') == []


def test_a_lack_of_memory_is_no_failure_that_patience_ends_at():
    def call(tasks, interaction):
        if len(tasks) > 1:
            raise MemoryError
        return [None]

    outcome = batching.compute(call, tasks(4), None, patience=-1)
    assert (outcome.answers, outcome.error, outcome.fitting) == ([None] * 4, None, 1)


def test_one_task_too_large_for_memory_fails_alone(runtime):
    backend = fresh(max_batch=8, answer=raises_on(6, error=MemoryError))
    answers = scores(runtime.submit(spec(backend), tasks(8)))
    assert answers == [0, 1, 2, 3, 4, 5, 'MemoryError: no good: 6', 7]
    assert runtime.models()[0].batch_limit == 4
    with pytest.raises(MemoryError):
        runtime.submit(spec(backend), tasks(1, 6)).result(PATIENCE)
    assert runtime.models()[0].batch_limit == 4


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert not is_out_of_memory(ValueError('the text "out of memory" has no label'))
    assert not is_out_of_memory(RuntimeError('wrong shape'))


# --- A process that dies ---------------------------------------------------------------------------------------------


def test_a_crash_costs_one_batch_and_a_load(runtime):
    def predict(self, tasks, interaction=None):
        answers = Gated.predict(self, tasks)
        if tasks[0].id == 0:
            raise BackendCrashError('the process was ended by SIGSEGV')
        return answers

    backend = fresh(Gated, predict=predict)
    closed_gate(runtime, backend)
    futures = [runtime.submit(spec(backend), tasks(4, start)) for start in (0, 4)]
    backend.gate.set()
    with pytest.raises(BackendCrashError, match='SIGSEGV') as caught:
        futures[0].result(PATIENCE)
    assert caught.value.code == 'backend_crash'
    assert scores(futures[1]) == [4, 5, 6, 7]
    crashed, loaded_afresh = backend.instances
    assert crashed.batches == [[999], [0, 1, 2, 3]]
    assert crashed.closed.is_set()
    assert loaded_afresh.batches == [[4, 5, 6, 7]]
    assert len(failure_log.of('recording')) == 1


# --- A call that does not come back ----------------------------------------------------------------------------------


@pytest.fixture
def hang(make_runtime):
    """A runtime with short patience and a model whose first instance hangs until the test ends."""
    runtime = make_runtime(predict_seconds=0.3, breaker_failures=2)
    backend = fresh(Gated)
    yield runtime, backend
    backend.gate.set()


def test_requests_that_wait_for_a_hanging_model_are_answered_by_a_fresh_load(hang):
    runtime, backend = hang
    first = closed_gate(runtime, backend)
    bulk = runtime.submit(spec(backend), tasks(6, 100), priority=Priority.BULK)
    opened = runtime.submit(spec(backend), tasks(1, 1))
    with pytest.raises(PredictTimeoutError, match='did not answer within'):
        first.result(PATIENCE)
    assert scores(opened) == [1]
    assert scores(bulk) == list(range(100, 106))
    assert [instance.batches for instance in backend.instances] == [[], [[1, 100, 101, 102], [103, 104, 105]]]
    backend.gate.set()
    assert eventually(backend.instances[0].closed.is_set)
    assert len(failure_log.of('recording')) == 1


def test_of_a_long_request_only_the_batch_that_hangs_fails(hang):
    runtime, backend = hang
    answers = runtime.submit(spec(backend), tasks(6), priority=Priority.BULK).result(PATIENCE)
    assert [isinstance(answer, TaskFailure) for answer in answers] == [True] * 4 + [False] * 2
    assert 'did not answer within' in answers[0].reason


def test_a_call_that_was_given_up_and_then_raises_is_not_tried_in_parts(make_runtime):
    runtime = make_runtime(predict_seconds=0.3)
    gate = threading.Event()

    def predict(self, tasks, interaction=None):
        answers = Recording.predict(self, tasks)
        if tasks[-1].id == 3:
            if len(tasks) < 4:
                gate.wait(PATIENCE)
            raise ValueError('no good')
        return answers

    backend = fresh(predict=predict)
    with pytest.raises(PredictTimeoutError):
        runtime.submit(spec(backend), tasks(4)).result(PATIENCE)
    gate.set()
    [instance] = backend.instances
    assert eventually(instance.closed.is_set)
    assert instance.batches == [[0, 1, 2, 3], [0, 1], [2, 3]]


def test_a_fresh_load_is_not_tried_once_the_breaker_is_open(make_runtime):
    runtime = make_runtime(predict_seconds=0.3, breaker_failures=1)
    backend = fresh(Gated)
    closed_gate(runtime, backend)
    opened = runtime.submit(spec(backend), tasks(1, 1))
    with pytest.raises(CircuitOpenError):
        opened.result(PATIENCE)
    backend.gate.set()
    assert len(backend.instances) == 1


def test_a_model_that_hangs_while_loading_fails_what_waits_for_it(make_runtime):
    runtime = make_runtime(setup_seconds=0.3, predict_seconds=100)
    gate = threading.Event()

    def setup(self):
        Recording.setup(self)
        gate.wait(PATIENCE)

    backend = fresh(setup=setup)
    loaded = runtime.warm(spec(backend))
    future = runtime.submit(spec(backend), tasks(2))
    for waiting in (future, loaded):
        with pytest.raises(PredictTimeoutError, match='was not loaded within'):
            waiting.result(PATIENCE)
    assert runtime.models() == []
    [failure] = failure_log.of('recording')
    assert failure.stage.value == 'setup'
    gate.set()
    assert eventually(backend.instances[0].closed.is_set)
    assert backend.instances[0].batches == []


def test_a_stopped_server_answers_who_waits(make_runtime):
    runtime = make_runtime()
    backend = fresh(Gated)
    first = closed_gate(runtime, backend)
    waiting = runtime.submit(spec(backend), tasks(1))
    runtime.close()
    for future in (first, waiting):
        with pytest.raises(Exception, match='the server is stopping'):
            future.result(PATIENCE)
    with pytest.raises(Exception, match='the server is stopping'):
        runtime.submit(spec(backend), tasks(1))
    backend.gate.set()
    assert eventually(backend.instances[0].closed.is_set)
