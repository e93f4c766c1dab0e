"""Labels that went, changed their names or say nothing."""

import pytest

from label_studio.ml_host.models import ProjectBackend
from label_studio.ml_host.serving import host
from label_studio.ml_host.training import runs
from label_studio.ml_host.upstream import Annotation, Project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def train(project, owner, work):
    """Trains the image classifier; gives the ended run."""

    def once():
        run = runs.request_training(project, 'image_classifier', owner)
        work()
        run.refresh_from_db()
        return run

    return once


def rename(project, before, after):
    """Another name in the label config; annotations keep the old one."""
    config = project.label_config.replace(f'value="{before}"', f'value="{after}"')
    Project.objects.filter(pk=project.pk).update(label_config=config)
    project.refresh_from_db()


def say(task, *labels):
    value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': list(labels)}}
    Annotation.objects.filter(task=task).update(result=[value] if labels else [])


def test_a_renamed_label_then_all_labels_gone(classifier, train, project):
    tasks = classifier(8)
    first = train()
    assert (first.state, first.error) == ('finished', '')

    # Nobody has used the new name yet.
    rename(project, 'dog', 'hound')
    run = train()
    assert (run.state, run.version) == ('failed', None)
    assert 'All 4 labeled pictures have "cat" for "choice"' in run.error
    assert '(hound)' in run.error

    # With its old name a picture is left out, not guessed at.
    for task in tasks[1:7:2]:
        say(task, 'hound')
    run = train()
    assert (run.state, run.error) == ('finished', '')
    assert run.metrics['train_size'] == 7
    row = ProjectBackend.objects.get(project=project)
    assert row.in_service == run.version
    assert 'hound' in said_of(row, tasks[7])

    Annotation.objects.filter(project=project).delete()
    empty = train()
    assert empty.state == 'failed'
    assert 'no task of this project has a submitted annotation' in empty.error
    assert (empty.snapshot.labeled, empty.snapshot.annotations) == (0, 0)
    row.refresh_from_db()
    assert row.in_service == run.version


def said_of(row, task):
    """What the version in service answers."""
    from label_studio.ml_host.task_data.resolver import plugin_task

    spec = host.spec_for(row, Project.objects.get(pk=row.project_id).label_config)
    (answer,) = host.runtime().submit(spec, [plugin_task(task)]).result(60)
    return answer.regions[0].value['choices']


def test_a_class_that_vanished_is_not_learned(classifier, train, project):
    tasks = classifier(9)
    rename(project, 'dog', 'dog"/><Choice value="bird')
    for task in tasks[::3]:
        say(task, 'bird')
    run = train()
    assert (run.state, run.error, run.metrics['classes']) == ('finished', '', 3)
    rename(project, 'bird', 'fish')
    run = train()
    assert (run.state, run.error, run.metrics['classes']) == ('finished', '', 2)


def test_empty_results_say_nothing(classifier, train):
    tasks = classifier(7)
    for task in tasks[:2]:
        say(task)
    run = train()
    assert (run.state, run.error, run.metrics['train_size']) == ('finished', '', 5)
    assert run.snapshot.labeled == 7
    for task in tasks:
        say(task)
    run = train()
    assert run.state == 'failed'
    assert 'No picture has a label of "choice" yet' in run.error
