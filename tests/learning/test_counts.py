"""How many labels came, changed and went since the latest training, as the database has it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.learning.counts import changed_labels, standing_of
from label_studio.ml_host.models import DatasetSnapshot, ModelVersion, TrainingRun
from label_studio.ml_host.upstream import Annotation

pytestmark = pytest.mark.django_db


def ran(project, state='finished', looked=True, **fields):
    """A training run that saw the labels of now."""
    seen = Annotation.objects.filter(project=project, was_cancelled=False)
    snapshot = None
    started = timezone.now()
    if looked:
        newest = seen.order_by('-id').first()
        snapshot = DatasetSnapshot.objects.create(
            project=project,
            backend='counting',
            digest='0' * 64,
            content=b'',
            labeled=seen.count(),
            annotations=seen.count(),
            newest_annotation=newest.pk if newest else 0,
            annotators='majority',
        )
    fields.setdefault('started_at', started if state != 'queued' else None)
    return TrainingRun.objects.create(project=project, backend='counting', state=state, snapshot=snapshot, **fields)


def counted(row):
    standing = standing_of(row)
    return standing.new, standing.changed, standing.deleted


def test_everything_is_new_before_the_first_training(counting, label):
    assert standing_of(counting).labels == 0
    label(3)
    label(2, was_cancelled=True)
    standing = standing_of(counting)
    assert (standing.labels, standing.before, counted(counting)) == (3, 0, (3, 0, 0))
    assert (standing.latest_run, standing.waits) == (None, False)


def test_new_changed_deleted_and_skipped_labels(counting, project, label):
    tasks = label(6)
    run = ran(project)
    assert counted(counting) == (0, 0, 0)
    given = list(Annotation.objects.order_by('id'))
    label(2)
    given[0].result = []
    given[0].save()
    given[1].ground_truth = True
    given[1].save()
    given[2].delete()
    Annotation.objects.filter(pk=given[3].pk).delete()
    given[4].was_cancelled = True
    given[4].save()
    tasks[5].delete()
    standing = standing_of(counting)
    assert counted(counting) == (2, 2, 4)
    assert (standing.labels, standing.before, standing.latest_run) == (4, 6, run.pk)
    assert changed_labels(counting) == 8


def test_labels_of_another_project_do_not_count(counting, project, owner):
    from label_studio.ml_host.upstream import Project, Task

    other = Project.objects.create(title='Other', created_by=owner, organization=owner.active_organization)
    task = Task.objects.create(project=other, data={})
    Annotation.objects.create(task=task, project=other, completed_by=owner, result=[])
    assert standing_of(counting).labels == 0


@pytest.mark.parametrize('state', ['failed', 'cancelled'])
def test_a_training_that_came_to_nothing_has_seen_its_labels(counting, project, label, state):
    label(3)
    ran(project, state)
    assert counted(counting) == (0, 0, 0)
    label(1)
    assert counted(counting) == (1, 0, 0)


def test_a_training_that_ended_before_it_looked(counting, project, label):
    label(3)
    ran(project, 'failed', looked=False)
    Annotation.objects.first().save()
    label(2)
    assert counted(counting) == (2, 1, 0)
    assert not standing_of(counting).waits


def test_a_cancelled_waiting_run_does_not_come_back_at_once(counting, project, label):
    label(3)
    ran(project, 'cancelled', looked=False, started_at=None, ended_at=timezone.now())
    assert counted(counting) == (0, 0, 0)


def test_labels_that_arrive_during_a_run_count_for_the_next(counting, project, label):
    label(3)
    ran(project, 'running')
    label(2)
    standing = standing_of(counting)
    assert (counted(counting), standing.waits) == ((2, 0, 0), False)


def test_a_run_that_has_not_looked_yet_sees_everything(counting, project, label):
    ran(project, 'running', looked=False)
    assert standing_of(counting).waits
    TrainingRun.objects.update(state='queued')
    assert standing_of(counting).waits
    TrainingRun.objects.update(state='finished')
    assert not standing_of(counting).waits


def test_training_an_old_version_again_says_nothing_about_new_labels(counting, project, label):
    label(3)
    run = ran(project)
    version = ModelVersion.objects.create(project=project, backend='counting', number=1, directory='none')
    label(2)
    ran(project, repeats=version)
    assert (counted(counting), standing_of(counting).latest_run) == ((2, 0, 0), run.pk)


def test_a_label_committed_after_one_with_a_higher_number_is_new(counting, project, label):
    label(3)
    run = ran(project)
    DatasetSnapshot.objects.filter(pk=run.snapshot_id).update(annotations=2)
    assert counted(counting) == (1, 0, 0)


def test_only_trainings_that_began_by_themselves_keep_the_next_one_waiting(counting, project):
    an_hour_ago = timezone.now() - timedelta(hours=1)
    ran(project, trigger='10 new labels', started_at=an_hour_ago)
    ran(project)
    assert standing_of(counting).began_at == an_hour_ago
