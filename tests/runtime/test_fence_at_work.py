"""Fenced backends as resident models: a crash or a hang costs its batch, and a fresh process goes on."""

import sys
import time
from pathlib import Path

import pytest

from ml_plugins import MLBackend, Prediction, Task
from ml_plugins.exceptions import BackendCrashError, CircuitOpenError, PluginBrokenError, PredictTimeoutError
from ml_plugins.failures import failure_log
from ml_plugins.runtime import ModelSpec, Runtime, RuntimeLimits, fence
from tests.runtime import fenced

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')

KINDS = {'fenced': fenced.Fenced, 'limited': fenced.Limited}


@pytest.fixture(autouse=True)
def _host(monkeypatch):
    monkeypatch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:setup')
    failure_log.clear()


@pytest.fixture
def runtime():
    runtime = Runtime(RuntimeLimits(predict_seconds=2, setup_seconds=30, breaker_failures=3))
    yield runtime
    models = runtime.models()
    runtime.close()
    assert all(model.closed.wait(20) for model in models)


def spec(name='fenced', **params):
    return ModelSpec(name, 1, fenced.CONFIG, lambda: KINDS[name], params=params)


def say(*texts):
    return [Task(number, {'text': text}) for number, text in enumerate(texts, 1)]


def pid_of(runtime, name='fenced') -> int:
    return int(runtime.submit(spec(name), say('good')).result(30)[0].embedding[0])


def is_gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and Path(f'/proc/{pid}').exists():
        time.sleep(0.02)
    return not Path(f'/proc/{pid}').exists()


@pytest.mark.parametrize('text', ['segfault', 'leave'])
def test_a_crash_costs_one_batch(runtime, text):
    pid = pid_of(runtime)
    with pytest.raises(BackendCrashError):
        runtime.submit(spec(), say('good', text)).result(30)
    assert is_gone(pid)
    assert pid_of(runtime) != pid
    [failure] = failure_log.of('fenced')
    assert failure.stage.value == 'predict'
    assert failure.error.startswith('BackendCrashError: the process of fenced ')
    assert failure.error.endswith('while it predicted a batch of 2')
    assert text != 'segfault' or 'Segmentation fault' in failure.traceback


def test_repeated_crashes_open_the_breaker(runtime):
    for _ in range(3):
        with pytest.raises(BackendCrashError):
            runtime.submit(spec(), say('leave')).result(30)
    with pytest.raises(CircuitOpenError, match='failed 3 times in a row'):
        runtime.submit(spec(), say('good'))


def test_a_hang_is_really_stopped(runtime):
    pid = pid_of(runtime)
    with pytest.raises(PredictTimeoutError, match='did not answer within 2 s'):
        runtime.submit(spec(), say('hang_in_native_code')).result(30)
    assert is_gone(pid)
    assert pid_of(runtime) != pid
    assert len(failure_log.of('fenced')) == 1


def test_a_hang_while_loading_is_really_stopped():
    runtime = Runtime(RuntimeLimits(setup_seconds=6))
    try:
        model = runtime.submit(spec(setup='hang'), say('good'))
        [resident] = runtime.models()
        with pytest.raises(PredictTimeoutError, match='was not loaded within 6 s'):
            model.result(30)
        assert resident.closed.wait(10)
    finally:
        runtime.close()


def test_a_batch_over_the_memory_limit_is_made_smaller(runtime):
    answers = runtime.submit(spec('limited'), say('grow', 'grow', 'grow')).result(30)
    assert [type(answer) for answer in answers] == [Prediction] * 3
    assert failure_log.of('limited') == []


def test_it_ends_when_the_model_is_unloaded(runtime):
    pid = pid_of(runtime)
    [model] = runtime.models()
    assert model.memory_bytes > 20 * fenced.MIB
    runtime.drop('fenced', 1)
    assert is_gone(pid)
    pid = pid_of(runtime)
    runtime.close()
    assert is_gone(pid)


def test_a_fence_of_another_kind_is_refused():
    class Odd(fenced.Fenced):
        fence = 'docker'

    assert issubclass(Odd, MLBackend)
    with pytest.raises(PluginBrokenError, match="fence is 'docker'; it must be"):
        ModelSpec('odd', 1, fenced.CONFIG, lambda: Odd).load()
