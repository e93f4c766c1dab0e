"""A backend in a process of its own: it predicts as in the server, and what kills it kills nothing else."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ml_plugins import Interaction, Prediction, Task, TaskFailure, VersionFiles, parse_label_config
from ml_plugins.backend import BackendContext
from ml_plugins.exceptions import BackendCrashError, MLPluginError, PredictionError, TaskDataError
from ml_plugins.failures import Stage, failure_log, record_failure
from ml_plugins.runtime import fence
from ml_plugins.runtime.fence.backend import FencedBackend
from ml_plugins.testing import MemoryFiles, check_backend
from tests.runtime import fenced

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='needs socket pairs that a child inherits')

ROOT = Path(__file__).resolve().parents[2]
KINDS = {'fenced': fenced.Fenced, 'limited': fenced.Limited}


@pytest.fixture(autouse=True)
def _host(monkeypatch):
    monkeypatch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:setup')


@pytest.fixture
def make():
    made = []

    def _make(name='fenced', **params):
        context = BackendContext(parse_label_config(fenced.CONFIG), params, project_id=1)
        made.append(FencedBackend(name, KINDS[name], context))
        return made[-1]

    yield _make
    for backend in made:
        backend.kill()


@pytest.fixture(scope='module')
def running():
    """One that is used by the tests that leave it alive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:setup')
        backend = FencedBackend('fenced', fenced.Fenced, BackendContext(parse_label_config(fenced.CONFIG)))
        backend.setup()
    yield backend
    backend.close()


@pytest.fixture
def start(make):
    def _start(name='fenced', **params):
        backend = make(name, **params)
        backend.setup()
        return backend

    return _start


def say(*texts, files=None, **data):
    return [Task(number, {'text': text, **data}, files=files) for number, text in enumerate(texts, 1)]


def pid_of(backend) -> int:
    return int(backend.predict(say('good'))[0].embedding[0])


def is_gone(pid: int, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z':
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_it_predicts_in_another_process(start):
    backend = start('limited', label='bad')
    answer, again = backend.predict(say('good', 'good'))
    assert answer.result()[0]['value'] == {'choices': ['bad']}
    assert (answer.score, answer.regions[0].score) == (0.25, 0.5)
    assert answer.probabilities['mood'].dtype == np.float32
    assert answer.probabilities['mood'].tolist() == [0.75, 0.25]
    child, parent = answer.embedding
    assert (parent, again.embedding[0]) == (os.getpid(), child) and child != parent
    assert backend.max_batch == 4
    assert backend.memory_bytes() > 20 * fenced.MIB
    backend.label_config.check(answer)
    backend.close()
    assert is_gone(int(child))


def test_a_click_reaches_it(running):
    [answer] = running.predict(say('click'), Interaction([{'type': 'choices'}], user_id=7))
    assert answer == TaskFailure(1, "Interaction(regions=[{'type': 'choices'}], user_id=7, extra={})")


def test_files_are_read_by_the_server(running):
    files = MemoryFiles({'/data/a.txt': b'first'})
    [answer] = running.predict(say('read', files=files, file='/data/a.txt'))
    content, path, text = answer.reason.split()
    assert (content, text) == ("b'first'", 'first')
    assert Path(path).read_bytes() == b'first'


def test_a_task_that_the_plugin_made_is_read_too(running):
    files = MemoryFiles({'/data/b.txt': b'second'})
    assert running.predict(say('read_other', files=files))[0].reason == 'second'


def test_threads_of_the_plugin_may_read(running):
    files = MemoryFiles({'/data/a.txt': b'one', '/data/b.txt': b'two'})
    first = Task(1, {'text': 'read_in_threads', 'file': '/data/a.txt'}, files=files)
    second = Task(2, {'text': 'good', 'file': '/data/b.txt'}, files=files)
    assert running.predict([first, second])[0].reason == 'one two one two'


def test_a_file_that_is_missing_is_an_error_of_its_task(running):
    with pytest.raises(TaskDataError, match='Task 1: field "file"') as caught:
        running.predict(say('read', files=MemoryFiles(), file='gone.txt'))
    assert (caught.value.task_id, caught.value.field) == (1, 'file')
    with pytest.raises(TaskDataError, match='has no access to files'):
        running.predict(say('read', file='gone.txt'))
    assert running.predict(say('read_on_its_own'))[0].reason == 'None'


@pytest.mark.parametrize(
    ('text', 'kind', 'message'),
    [
        ('value_error', ValueError, 'no good'),
        ('key_error', KeyError, "'colour'"),
        ('foreign_error', Exception, 'out of ideas'),
        ('system_exit', Exception, 'no more'),
    ],
)
def test_what_it_raises_arrives_with_name_message_and_traceback(running, text, kind, message):
    pid = pid_of(running)
    with pytest.raises(kind) as caught:
        running.predict(say(text))
    assert str(caught.value) == message
    failure_log.clear()
    record = record_failure('fenced', Stage.PREDICT, caught.value)
    expected = {'foreign_error': 'ForeignError', 'system_exit': 'SystemExit'}.get(text, kind.__name__)
    assert record.error == f'{expected}: {message}'
    assert 'fenced.py", line' in record.traceback
    assert pid_of(running) == pid


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('segfault', r'was ended by SIGSEGV \(.+\) while it predicted a batch of 2'),
        ('leave', 'ended by itself with exit status 3 while'),
        ('abort', r'was ended by SIGABRT'),
    ],
)
def test_a_crash_fails_its_batch_and_says_how(start, text, words):
    backend = start()
    pid = pid_of(backend)
    with pytest.raises(BackendCrashError, match=words) as caught:
        backend.predict(say('good', text))
    assert caught.value.code == 'backend_crash'
    assert is_gone(pid)
    if text != 'leave':
        assert 'fenced.py", line' in str(caught.value.__cause__)
    # Whoever owns it loads another one; this one stays ended.
    with pytest.raises(BackendCrashError):
        backend.predict(say('good'))


def test_a_process_killed_from_outside_says_so(start):
    backend = start()
    os.kill(pid_of(backend), signal.SIGKILL)
    with pytest.raises(BackendCrashError, match=r'was ended by SIGKILL .*runs out of memory'):
        backend.predict(say('good'))


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems do not keep to the limit')
def test_memory_over_the_limit_is_refused(start):
    backend = start('limited')
    pid = pid_of(backend)
    with pytest.raises(MemoryError, match=r'200 MiB more than without the model \(fence_memory\)'):
        backend.predict(say('allocate'))
    assert pid_of(backend) == pid
    with pytest.raises(BackendCrashError, match=r'SIGABRT.*may take no more memory \(fence_memory = 200 MiB\)'):
        backend.predict(say('abort'))


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems do not keep to the limit')
def test_a_file_that_does_not_fit_into_its_memory_ends_it(start):
    files = MemoryFiles({'/data/film.mp4': bytes(250 * fenced.MIB)})
    with pytest.raises(BackendCrashError, match=r'ran out of the memory that it may take \(fence_memory = 200 MiB\)'):
        start('limited').predict(say('read', files=files, file='/data/film.mp4'))


def test_without_a_limit_it_may_take_more(running):
    assert isinstance(running.predict(say('allocate'))[0], Prediction)


@pytest.mark.parametrize('text', ['hang', 'hang_in_native_code'])
def test_a_hang_ends_when_it_is_killed(start, text):
    backend = start()
    pid = pid_of(backend)
    threading.Timer(0.3, backend.kill).start()
    started = time.monotonic()
    with pytest.raises(BackendCrashError, match='SIGKILL'):
        backend.predict(say(text))
    assert time.monotonic() - started < 3
    assert is_gone(pid)


def test_a_hang_while_loading_ends_when_it_is_killed(make):
    backend = make(setup='hang')
    threading.Timer(3, backend.kill).start()
    with pytest.raises(BackendCrashError, match='while it loaded its model'):
        backend.setup()


def test_what_is_killed_before_it_started_stays_killed(make):
    backend = make()
    backend.kill()
    with pytest.raises(BackendCrashError):
        backend.setup()


@pytest.mark.parametrize(
    ('setup', 'kind', 'words'),
    [
        ('value_error', ValueError, 'no good'),
        ('segfault', BackendCrashError, 'SIGSEGV .* while it loaded its model'),
    ],
)
def test_a_model_that_cannot_be_loaded(make, setup, kind, words):
    with pytest.raises(kind, match=words):
        make(setup=setup).setup()


def test_a_host_that_cannot_be_prepared(make, monkeypatch):
    monkeypatch.setattr(fence, 'bootstrap', 'tests.runtime.fenced:broken_setup')
    with pytest.raises(Exception, match='this host is not well'):
        make().setup()
    monkeypatch.setattr(fence, 'bootstrap', '')
    with pytest.raises(MLPluginError, match='set fence = "thread"'):
        make().setup()


def test_nothing_of_the_plugin_is_imported_here_by_what_it_returns(running):
    with pytest.raises(PredictionError, match=r'an object of tests\.runtime\.fenced\.Foreign, which does not leave'):
        running.predict(say('foreign'))
    [answer] = running.predict(say('number'))
    with pytest.raises(PredictionError, match='region 0 cannot be stored'):
        running.label_config.check(answer)


def test_it_outlives_the_thread_that_loaded_it(make):
    backend = make()
    thread = threading.Thread(target=backend.setup)
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert isinstance(backend.predict(say('good'))[0], Prediction)


SERVER = """
import sys, threading, time
from ml_plugins import Task, parse_label_config
from ml_plugins.backend import BackendContext
from ml_plugins.runtime import fence
from ml_plugins.runtime.fence.backend import FencedBackend
from tests.runtime import fenced
fence.bootstrap = 'tests.runtime.fenced:setup'
backend = FencedBackend('fenced', fenced.Fenced, BackendContext(parse_label_config(fenced.CONFIG), {params}))
backend.setup()
print(int(backend.predict([Task(1, {{'text': 'good'}})])[0].embedding[0]), 'torch' in sys.modules, flush=True)
{then}
"""


def server(then: str, **params) -> subprocess.Popen:
    script = SERVER.format(then=then, params=params)
    return subprocess.Popen([sys.executable, '-c', script], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize('text', ['good', 'hang', 'hang_in_native_code'])
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_server(text, number):
    process = server(f'backend.predict([Task(1, {{"text": "{text}"}})]); time.sleep(60)')
    pid = int(process.stdout.readline().split()[0])
    time.sleep(0.3)
    assert not is_gone(pid, 0.1)
    process.send_signal(number)
    process.wait(10)
    assert is_gone(pid)


def test_it_ends_when_the_server_comes_to_its_end():
    process = server('')
    pid = int(process.stdout.readline().split()[0])
    process.wait(10)
    assert is_gone(pid)


@pytest.mark.slow
def test_the_server_does_not_import_torch():
    then = (
        'print(backend.predict([Task(1, {"text": "tensor"})])[0].embedding.sum(), "torch" in sys.modules, flush=True)'
    )
    process = server(then, setup='torch')
    assert process.stdout.readline().split()[1] == 'False'
    assert process.stdout.readline().split() == ['3.0', 'False']
    process.wait(10)


HOST = """
from my_model.fenced import FencedModel
from tests.inline_plugins import register


def setup():
    register('my_model', FencedModel)
"""


def test_the_fence_of_the_tutorial(tmp_path, monkeypatch):
    page = (ROOT / 'docs' / 'write-a-plugin.md').read_text(encoding='utf-8')
    (tmp_path / 'my_model').mkdir()
    for name, body in re.findall(r'```python title="(my_model/\w+\.py)"\n(.*?)```', page, re.DOTALL):
        (tmp_path / name).write_text(body, encoding='utf-8')
    (tmp_path / 'tutorial_host.py').write_text(HOST, encoding='utf-8')
    (tmp_path / 'model.json').write_text('{"label": "bad", "share": 0.75}', encoding='utf-8')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fence, 'bootstrap', 'tutorial_host:setup')
    from my_model.fenced import FencedModel

    try:
        assert check_backend(FencedModel) == []
        context = BackendContext(parse_label_config(fenced.CONFIG), version=VersionFiles(3, tmp_path))
        backend = FencedBackend('my_model', FencedModel, context)
        backend.setup()
        [answer] = backend.predict(say('A fine day'))
        backend.close()
    finally:
        for name in [name for name in sys.modules if name.partition('.')[0] == 'my_model']:
            del sys.modules[name]
    assert (answer.result()[0]['value'], answer.score) == ({'choices': ['bad']}, 0.75)


def test_check_backend_names_what_is_wrong_with_a_fence():
    class Odd(fenced.Fenced):
        fence = 'container'
        fence_memory = -1

    class Needless(fenced.Fenced):
        fence = 'thread'
        fence_memory = 5

    problems = '\n'.join([*check_backend(Odd), *check_backend(Needless)])
    assert 'fence is \'container\'; it must be "thread" or "process"' in problems
    assert 'fence_memory is -1; it must be a number of bytes' in problems
    assert 'fence_memory has no effect without fence = "process"' in problems
    assert check_backend(fenced.Limited) == []
