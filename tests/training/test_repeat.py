"""A version is trained again to the same bytes, or it is said why that cannot be."""

import shutil

import pytest

from label_studio.ml_host.logs import run_log_path
from label_studio.ml_host.models import ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.training import runs
from label_studio.ml_host.upstream import Annotation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trained(project, owner, work, folders):
    """Trains the image classifier and returns the run and its log."""

    def train():
        run = runs.request_training(project, 'image_classifier', owner)
        return ended(run, work, folders)

    return train


def ended(run, work, folders):
    work()
    run.refresh_from_db()
    return run, run_log_path(folders / 'log', run.pk).read_text()


def test_the_same_weights_come_out(classifier, trained, work, folders, owner, project):
    classifier(12)
    first, _ = trained()
    assert (first.state, first.error) == ('finished', '')
    assert first.version.snapshot == first.snapshot
    classifier(4)
    second, log = trained()
    assert 'Features of 12 of 16 pictures are kept' in log
    # Neither labels that came later nor what an earlier run left behind make a difference.
    shutil.rmtree(folders / 'cache')
    again, log = ended(runs.repeat(first.version, owner), work, folders)
    assert (again.state, again.error, again.repeats) == ('finished', '', first.version)
    assert again.version.digest == first.version.digest != second.version.digest
    assert f'the same, byte for byte, as those of version {first.version.number}' in log
    files = [(folders / 'version' / run.version.directory / 'files') for run in (first, again)]
    assert (files[0] / 'head.safetensors').read_bytes() == (files[1] / 'head.safetensors').read_bytes()
    # It does not replace what predicts.
    assert ProjectBackend.objects.get(project=project).in_service == second.version
    assert again.version.trained_on == first.version.trained_on


def test_tasks_whose_annotations_changed_are_named(counting, ask, work, label, owner):
    tasks = label(14)
    run = ask()
    work()
    run.refresh_from_db()
    Annotation.objects.filter(task=tasks[3]).update(result=[])
    Annotation.objects.filter(task=tasks[5]).delete()
    with pytest.raises(runs.NotRepeatableError, match=rf'those of tasks {tasks[3].pk}, {tasks[5].pk}\. Train a new'):
        runs.repeat(run.version, owner)
    Annotation.objects.filter(task__in=tasks).update(was_cancelled=True)
    with pytest.raises(runs.NotRepeatableError, match=r'tasks .* and 4 more'):
        runs.repeat(run.version, owner)
    assert TrainingRun.objects.count() == 1


def test_what_changes_while_it_waits_is_noticed_too(counting, ask, work, label, owner):
    tasks = label(3)
    run = ask()
    work()
    run.refresh_from_db()
    again = runs.repeat(run.version, owner)
    Annotation.objects.filter(task=tasks[1]).update(result=[])
    work()
    again.refresh_from_db()
    assert again.state == 'failed'
    assert f'those of task {tasks[1].pk}.' in again.error
    assert ModelVersion.objects.count() == 1


def test_other_reasons_against_it(counting, ask, work, label, owner, project):
    label(3)
    run = ask()
    work()
    run.refresh_from_db()
    version = run.version
    waiting = ask()
    with pytest.raises(runs.NotRepeatableError, match='another training of "counting" is waiting'):
        runs.repeat(version, owner)
    runs.cancel(waiting)
    project.label_config = project.label_config.replace('dog', 'hound')
    project.save()
    version.refresh_from_db()
    with pytest.raises(runs.NotRepeatableError, match='the label config has changed'):
        runs.repeat(ModelVersion.objects.get(pk=version.pk), owner)
    ModelVersion.objects.update(snapshot=None)
    with pytest.raises(runs.NotRepeatableError, match='it is not recorded which annotations'):
        runs.repeat(ModelVersion.objects.get(pk=version.pk), owner)


def test_what_it_started_from_has_to_be_there(counting, ask, work, label, owner):
    label(3)
    ask()
    work()
    label(1)
    second = ask()
    work()
    second.refresh_from_db()
    assert second.version.previous.number == 1
    again = runs.repeat(second.version, owner)
    work()
    again.refresh_from_db()
    assert again.version.previous == second.version.previous
    assert again.version.digest == second.version.digest
    ModelVersion.objects.filter(number=1).delete()
    again = runs.repeat(ModelVersion.objects.get(number=2), owner)
    work()
    again.refresh_from_db()
    assert (again.state, again.version) == ('failed', None)
    assert 'Version 2 started from version 1, which was deleted' in again.error
