"""Whose run comes next: people first, and no project keeps the workers from the others."""

import pytest

from label_studio.ml_host.models import ProjectBackend, TrainingRun
from label_studio.ml_host.training import lifecycle, order, runs
from label_studio.ml_host.upstream import Project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def projects(project, folders, inline_plugins, label, queue):
    """Two projects, each with three backends; only the first one has labels."""
    from tests.training.conftest import CountingBackend

    other = Project.objects.create(
        title='Other',
        created_by=project.created_by,
        organization=project.organization,
        label_config=project.label_config,
    )
    for name in 'abc':
        inline_plugins(name, CountingBackend)
        for each in (project, other):
            ProjectBackend.objects.create(project=each, backend=name, enabled=True)
    label(1)
    return project, other


def queued(project, backend, trigger=''):
    run = runs.request_training(project, backend)
    TrainingRun.objects.filter(pk=run.pk).update(trigger=trigger)
    return run


def begun(work):
    """Works off the queue; in which order the runs began."""
    work()
    found = TrainingRun.objects.exclude(started_at=None).order_by('started_at')
    return [(run.project.title, run.backend) for run in found]


def test_projects_take_turns(projects, work):
    first, other = projects
    for name in 'abc':
        queued(first, name, '10 new labels')
    queued(other, 'a', '10 new labels')
    queued(other, 'b', '10 new labels')
    assert begun(work) == [('Pets', 'a'), ('Other', 'a'), ('Pets', 'b'), ('Other', 'b'), ('Pets', 'c')]


def test_who_pressed_the_button_goes_first(projects, work):
    first, other = projects
    queued(first, 'a', '10 new labels')
    queued(first, 'b', 'daily at 02:30')
    queued(other, 'a', '10 new labels')
    queued(first, 'c')
    assert begun(work)[0] == ('Pets', 'c')
    assert begun(work)[1] == ('Other', 'a')


def test_who_presses_the_button_for_a_waiting_run_moves_it_up(projects):
    first, other = projects
    waiting = [queued(first, 'a', '10 new labels'), queued(other, 'a', '10 new labels')]
    assert order.in_turn() == [run.pk for run in waiting]
    asked = runs.request_training(other, 'a', other.created_by)
    assert asked.pk == waiting[1].pk
    assert order.in_turn() == [waiting[1].pk, waiting[0].pk]


def test_a_project_that_has_a_worker_waits_for_one_that_has_none(projects):
    first, other = projects
    running = queued(first, 'a')
    assert lifecycle.claim(running.pk)
    waiting = [queued(first, 'b'), queued(other, 'a')]
    assert order.in_turn() == [waiting[1].pk, waiting[0].pk]


def test_a_backend_that_trains_is_not_in_turn(projects):
    first, _ = projects
    assert lifecycle.claim(queued(first, 'a').pk)
    queued(first, 'a')
    assert order.in_turn() == []
