"""A run that is killed in the middle goes on where it was."""

import pytest

from label_studio.ml_host.models import TrainingRun
from label_studio.ml_host.training import checkpoints, runs, worker
from tests.training.cases import run_case
from tests.training.conftest import CountingBackend
from tests.training.test_worker import signal_when_started

pytestmark = pytest.mark.django_db(transaction=True)


def test_fine_tuning_goes_on_after_a_kill_to_the_same_weights(data_dir, redis_socket):
    found = run_case('fine_tuning_killed', data_dir, redis_socket)
    assert found['first'] == ['finished', '', 2]
    assert 'epochs; training goes on from there' in found['log']
    assert found['log'].count('Epoch 1 of 2') == 1
    assert found['second'] == ['finished', '', 1]
    assert found['digests'][0] == found['digests'][1]
    assert not found['left']


class Stoppable(CountingBackend):
    """Waits to be stopped at its first attempt, and goes on from there at the second."""

    def fit_stoppable(self, dataset, run):
        saved = run.checkpoint_directory / 'labels'
        if not saved.exists():
            saved.write_text(str(len(dataset)))
            self.fit_waits(dataset, run)
        (run.directory / 'labels').write_text(f'{saved.read_text()} {len(dataset)}')
        return {}


def test_a_run_that_a_stopping_worker_hands_back_goes_on_with_the_same_labels(
    ask, queue, label, inline_plugins, tmp_path, folders
):
    inline_plugins('counting', Stoppable)
    label(3)
    run = ask('stoppable')
    signal_when_started(tmp_path)
    worker.run_worker()
    run.refresh_from_db()
    assert run.state == 'queued'
    label(2)
    worker.run_worker(burst=True)
    run.refresh_from_db()
    assert (run.state, run.error) == ('finished', '')
    assert (folders / 'version' / run.version.directory / 'files' / 'labels').read_text() == '3 3'


def test_folders_of_ended_runs_are_removed_and_others_kept(ask, counting, folders, queue):
    run = ask()
    kept = checkpoints.checkpoint_directory(run)
    gone = checkpoints.checkpoint_directory(TrainingRun(pk=run.pk + 1))
    (kept / 'state').write_text('1')
    assert checkpoints.remove_stale_checkpoints() == 1
    assert (kept.exists(), gone.exists()) == (True, False)
    runs.cancel(run)
    checkpoints.remove_if_ended(run)
    assert not kept.exists()
