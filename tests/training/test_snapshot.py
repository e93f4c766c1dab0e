"""What a run learns from is written down when it begins, and read again when it is repeated."""

import pytest
from django.utils import timezone

from label_studio.ml_host.models import DatasetSnapshot, TrainingRun
from label_studio.ml_host.training import lifecycle, snapshot
from label_studio.ml_host.training.changes import changes_between
from label_studio.ml_host.training.content import pack, unpack
from label_studio.ml_host.training.dataset import DatabaseDataset
from label_studio.ml_host.training.scanning import scan
from label_studio.ml_host.upstream import Annotation

pytestmark = pytest.mark.django_db


def choice(name):
    return [{'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}]


def rows_of(project):
    return scan(project, 0.2, 'newest')


@pytest.fixture
def run(project):
    made = TrainingRun.objects.create(project=project, backend='counting', params={})
    return lifecycle.claim(made.pk)


def test_a_snapshot_says_what_was_there(project, run, label):
    tasks = label(30)
    label(2, was_cancelled=True)
    before = timezone.now()
    dataset = snapshot.dataset_of(run, 0.2, 'newest', None)
    stored = DatasetSnapshot.objects.get()
    assert run.snapshot == stored == TrainingRun.objects.get(pk=run.pk).snapshot
    assert (stored.labeled, stored.annotations, stored.annotators) == (30, 30, 'newest')
    assert stored.newest_annotation == Annotation.objects.filter(was_cancelled=False).latest('id').pk
    assert before <= stored.created_at <= timezone.now()
    rows = snapshot.read(stored)
    assert rows.task_ids.tolist() == [task.pk for task in tasks]
    assert stored.held_out == len(rows.held_out_ids) == dataset.held_out_count() > 0
    assert set(rows.held_out_ids.tolist()) == {example.task.id for example in dataset.held_out}
    assert set(rows.train_ids.tolist()) | set(rows.held_out_ids.tolist()) == {task.pk for task in tasks}


def test_packing_loses_nothing(project, label):
    label(25)
    rows = rows_of(project)
    again = unpack(memoryview(pack(rows)))
    assert again.digest == rows.digest == rows_of(project).digest
    assert changes_between(rows, again) == changes_between(again, rows)
    assert not changes_between(rows, again)
    empty = unpack(pack(scan(project, 0.2, 'all').__class__(*[column[:0] for column in _columns(rows)])))
    assert empty.task_ids.tolist() == []


def _columns(rows):
    return rows.tasks, rows.annotations, rows.hashes, rows.learned, rows.held_out


def test_what_is_labeled_meanwhile_counts_for_the_next_run(project, run, label):
    first = label(12)
    dataset = snapshot.dataset_of(run, 0.2, 'newest', None)
    label(3)
    assert {example.task.id for example in dataset} == {task.pk for task in first}


def test_what_is_changed_or_deleted_meanwhile_is_left_out(project, run, label):
    tasks = label(12)
    dataset = snapshot.dataset_of(run, 0.2, 'newest', None)
    Annotation.objects.filter(task=tasks[0]).update(result=choice('dog'))
    Annotation.objects.filter(task=tasks[1]).delete()
    Annotation.objects.filter(task=tasks[2]).update(was_cancelled=True)
    tasks[3].delete()
    seen = {example.task.id for example in dataset}
    assert seen == {task.pk for task in tasks[4:]}
    assert dataset.left_out == set(dataset.rows.task_ids.tolist()) - seen


def test_another_attempt_sees_the_same(project, run, label):
    label(12)
    snapshot.dataset_of(run, 0.2, 'newest', None)
    label(3)
    again = TrainingRun.objects.get(pk=run.pk)
    assert len(snapshot.dataset_of(again, 0.2, 'all', None)) == 12
    assert DatasetSnapshot.objects.count() == 1


def test_snapshots_of_runs_that_made_nothing_do_not_pile_up(project, label):
    label(3)
    for _ in range(3):
        made = TrainingRun.objects.create(project=project, backend='counting', params={})
        snapshot.dataset_of(lifecycle.claim(made.pk), 0.2, 'newest', None)
        TrainingRun.objects.filter(pk=made.pk).update(state='failed')
    assert DatasetSnapshot.objects.count() == 1


def test_changes_are_named_by_task(project, label, monkeypatch):
    from label_studio.ml_host.training import scanning

    tasks = label(20)
    held_out = {tasks[18].pk, tasks[19].pk}
    monkeypatch.setattr(scanning, 'place_of', lambda project_id, task_id: 0.1 if task_id in held_out else 0.9)
    before = rows_of(project)
    Annotation.objects.filter(task=tasks[0]).update(result=choice('dog'))
    Annotation.objects.filter(task=tasks[1]).delete()
    Annotation.objects.filter(task=tasks[18]).update(result=choice('dog'))
    Annotation.objects.filter(task=tasks[19]).delete()
    added = label(2)
    found = changes_between(before, rows_of(project))
    assert found.added == tuple(task.pk for task in added)
    # Held-out tasks are in none of them.
    assert found.changed == (tasks[0].pk,)
    assert found.removed == (tasks[1].pk,)


def test_a_task_that_becomes_held_out_is_a_removed_one(project, label, monkeypatch):
    from label_studio.ml_host.training import scanning

    tasks = label(9)
    monkeypatch.setattr(scanning, 'place_of', lambda project_id, task_id: 0.1 if task_id == tasks[0].pk else 0.9)
    before = rows_of(project)
    label(1)
    found = changes_between(before, rows_of(project))
    assert (len(found.added), found.changed, found.removed) == (1, (), (tasks[0].pk,))


def test_ground_truth_goes_first_and_the_rule_decides_the_rest(project, owner, label):
    (task,) = label(1, 'dog')
    for name in ('cat', 'cat', 'bird'):
        Annotation.objects.create(task=task, project=project, completed_by=owner, result=choice(name))

    def learned(rule):
        (example,) = DatabaseDataset(project, 0.2, rule)
        return [item.labels('choice')[0] for item in example.annotations]

    assert learned('all') == ['dog', 'cat', 'cat', 'bird']
    assert learned('newest') == ['bird']
    assert learned('majority') == ['cat']
    truth = Annotation.objects.filter(task=task).earliest('id')
    Annotation.objects.filter(pk=truth.pk).update(ground_truth=True)
    assert [learned(rule) for rule in ('all', 'newest', 'majority')] == [['dog']] * 3


def test_without_a_majority_the_newest_counts(project, owner, label):
    (task,) = label(1, 'dog')
    Annotation.objects.create(task=task, project=project, completed_by=owner, result=choice('cat'))
    (example,) = DatabaseDataset(project, 0.2, 'majority')
    assert example.annotation.labels('choice') == ['cat']
    Annotation.objects.create(task=task, project=project, completed_by=owner, result=choice('bird'))
    (example,) = DatabaseDataset(project, 0.2, 'majority')
    assert example.annotation.labels('choice') == ['bird']


def test_a_changed_mind_of_the_majority_is_a_change(project, owner, label):
    (task,) = label(1, 'dog')
    before = scan(project, 0.2, 'majority')
    for name in ('cat', 'cat'):
        Annotation.objects.create(task=task, project=project, completed_by=owner, result=choice(name))
    assert changes_between(before, scan(project, 0.2, 'majority')).changed == (task.pk,)
    middle = scan(project, 0.2, 'majority')
    Annotation.objects.create(task=task, project=project, completed_by=owner, result=choice('cat'))
    # One more who says the same changes nothing for who learns.
    assert not changes_between(middle, scan(project, 0.2, 'majority'))
