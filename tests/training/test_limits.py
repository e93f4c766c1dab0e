"""A training that takes more than it may is ended, and it is said what was exceeded."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.training import limits, reasons, worker
from tests.training.conftest import CountingBackend

pytestmark = pytest.mark.django_db(transaction=True)

GROW = """
held = []
while True:
    held.append(bytearray(b'x' * 2**24))
    time.sleep(0.01)
"""


class Greedy(CountingBackend):
    """Takes more and more."""

    def fit_grows(self, dataset, run):
        exec(GROW, {'time': time})

    def fit_child_grows(self, dataset, run):
        subprocess.run([sys.executable, '-c', f'import time\n{GROW}'], check=True)

    def fit_stuck(self, dataset, run):
        # Native code does not let the interpreter look at signals either.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        self.fit_ignores(dataset, run)


@pytest.fixture
def greedy(ask, inline_plugins, queue, label, monkeypatch, folders):
    """Trains in a mode with a real worker; gives the run and its log."""
    inline_plugins('counting', Greedy)
    monkeypatch.setattr(limits, 'LOOK_EVERY', 0.05)
    label(1)

    def train(mode):
        run = ask(mode)
        worker.run_worker(burst=True)
        run.refresh_from_db()
        return run, run_log_path(folders / 'log', run.pk).read_text()

    return train


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='memory of other processes is read from /proc')
@pytest.mark.parametrize('mode', ['grows', 'child_grows'])
def test_too_much_memory(greedy, settings, mode):
    settings.ML_TRAINING_MEMORY = limits.tree_bytes(os.getpid()) + 200 * 2**20
    run, log = greedy(mode)
    # It would be the same the next time.
    assert (run.state, run.attempts) == ('failed', 1)
    assert 'GiB of memory, and ML_TRAINING_MEMORY allows' in run.error
    assert f'Failed: {run.error}' in log
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize('mode', ['ignores', 'stuck'])
def test_too_much_time(greedy, settings, monkeypatch, mode):
    monkeypatch.setattr(limits, 'TIMEOUT_GRACE', 0.5)
    settings.ML_TRAINING_TIMEOUT = 2
    run, _ = greedy(mode)
    assert (run.state, run.attempts) == ('failed', 1)
    assert run.error == 'The training took longer than the 2 seconds of ML_TRAINING_TIMEOUT and was ended.'


def test_no_limit_is_the_default(greedy, settings):
    assert settings.ML_TRAINING_MEMORY == 0
    run, _ = greedy('well')
    assert run.state == 'finished'


def test_a_share_of_the_gpu_is_named(settings):
    class OutOfMemoryError(RuntimeError):
        pass

    settings.ML_TRAINING_GPU_SHARE = 0.25
    assert 'ML_TRAINING_GPU_SHARE allows 25% of it' in reasons.reason_of(OutOfMemoryError('CUDA')).sentence
    settings.ML_TRAINING_GPU_SHARE = 1.0
    assert 'ML_TRAINING_GPU_SHARE' not in reasons.reason_of(OutOfMemoryError('CUDA')).sentence
