"""A run from the queue to its end, in this process."""

import subprocess

import pytest

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import BackendEvent, FailureRecord, ModelVersion
from label_studio.ml_host.training import recorder, runs
from label_studio.ml_host.versions.files import version_files
from ml_plugins.failures import Stage, failure_log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trained(ask, work, label, folders):
    """Trains in a mode and returns the run and its log."""

    def train(mode='well', labeled=5):
        label(labeled)
        run = ask(mode)
        work()
        run.refresh_from_db()
        return run, run_log_path(folders / 'log', run.pk).read_text()

    return train


def test_a_run_ends_with_a_version_in_service(trained, counting, folders):
    run, log = trained()
    assert (run.state, run.error, run.percent, run.attempts) == ('finished', '', 100, 1)
    assert run.metrics['accuracy'] == 0.5
    assert run.metrics['broken'] is None
    assert run.metrics['loss'] == pytest.approx(0.2)
    assert run.skipped[0]['reason'] == 'it is blurred'
    assert run.started_at <= run.ended_at
    counting.refresh_from_db()
    assert counting.in_service == run.version
    assert BackendEvent.objects.filter(action='in_service').count() == 1
    files = version_files(run.version)
    assert (files.path / 'sub' / 'counts.json').read_text() == '{"cat": 5}'
    assert list((folders / 'work').iterdir()) == []
    for line in ('printed by the plugin', 'said by the plugin', 'it is blurred', 'Version 1 is in service'):
        assert line in log


def test_a_run_says_what_is_held_out(trained):
    run, log = trained(labeled=5)
    assert run.metrics['held_out_size'] == 0
    assert 'No held-out labels yet: all 5 labeled tasks are learned from' in log
    run, log = trained(labeled=55)
    held_out = int(run.metrics['held_out_size'])
    assert 0 < held_out < 30
    assert f'60 labeled tasks: {60 - held_out} to learn from, {held_out} held out' in log


def test_the_next_version_gets_the_next_number(trained):
    trained()
    run, _ = trained()
    assert run.version.number == 2


def test_what_fit_raises_is_shown_with_its_traceback(trained, folders):
    failure_log.clear()
    run, log = trained('raises')
    assert (run.state, run.error) == ('failed', 'ZeroDivisionError: no good')
    assert 'in fit_raises' in run.traceback
    assert 'in fit_raises' in log
    assert failure_log.of('counting')[-1].stage is Stage.FIT
    assert not ModelVersion.objects.exists()
    assert list((folders / 'work').iterdir()) == []


def test_a_training_error_is_a_sentence_and_no_defect(trained):
    failure_log.clear()
    run, _ = trained('refuses')
    assert (run.state, run.error) == ('failed', 'Only one class is labeled: label a second one.')
    assert failure_log.of('counting') == []
    assert not FailureRecord.objects.exists()


def test_zero_labels_is_said(trained):
    run, _ = trained(labeled=0)
    assert (run.state, run.metrics) == ('failed', {})
    assert 'no task of this project has a submitted annotation' in run.error


@pytest.mark.parametrize(('mode', 'error'), [('exits', 'SystemExit: 3'), ('rubbish', 'TypeError: fit returned int')])
def test_other_ways_to_break(trained, mode, error):
    run, _ = trained(mode)
    assert run.state == 'failed'
    assert run.error.startswith(error)


def test_cancelling_a_running_run(trained, monkeypatch, folders):
    monkeypatch.setattr(recorder, 'LOOK_EVERY', 0.05)
    started = recorder.Recorder.progress

    def progress(self, done, total, **metrics):
        if not self._run.cancel_requested:
            runs.cancel(self._run)
        started(self, done, total, **metrics)

    monkeypatch.setattr(recorder.Recorder, 'progress', progress)
    run, log = trained('waits')
    assert (run.state, run.error) == ('cancelled', '')
    assert 'Cancelled.' in log
    assert not ModelVersion.objects.exists()
    assert list((folders / 'work').iterdir()) == []


def test_a_backend_switched_off_meanwhile_does_not_train(ask, counting, work, label):
    label(1)
    run = ask()
    counting.enabled = False
    counting.save()
    work()
    run.refresh_from_db()
    assert run.state == 'failed'
    assert 'not enabled' in run.error


def test_a_full_disk_is_said_and_leaves_no_version(trained, folders):
    (folders / 'work').mkdir(parents=True)
    done = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(folders / 'work')], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f'a small disk cannot be mounted here: {done.stderr.strip()}')
    try:
        run, log = trained('fills')
        assert list((folders / 'work').iterdir()) == []
    finally:
        subprocess.run(['umount', str(folders / 'work')], check=True)
    assert run.state == 'failed'
    assert run.error.startswith('The disk is full')
    assert 'The disk is full' in log
    assert not ModelVersion.objects.exists()
