"""Many people ask for their next task at the same moment; SQLite lets one write at a time, PostgreSQL all of them."""

import threading
from collections import Counter

import pytest
from django.db import connection

from label_studio.ml_host.models import SampledTask
from label_studio.ml_host.sampling import eligible, stream
from label_studio.ml_host.upstream import Annotation, Project, Task

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 8
EACH = 12


def label_at_once(project, users, count):
    """Each person takes and answers tasks in a thread of his own; what was served, by person, and what was raised."""
    served, raised = {user.pk: [] for user in users}, []
    barrier = threading.Barrier(len(users))

    def work(user):
        try:
            mine = Project.objects.get(pk=project.pk)
            barrier.wait(30)
            for _ in range(count):
                task, _words = stream.get_next_task(pytest.fail, user, Task.objects.filter(project=mine), mine, False)
                if task is None:
                    return
                served[user.pk].append(task.pk)
                # As upstream's API does: for a moment there is both, the answer and the lock.
                Annotation.objects.create(task=task, project=mine, completed_by=user, result=[])
                task.release_lock(user)
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return served, raised


def test_nobody_is_given_what_another_has_and_the_order_is_kept(project, make_tasks, queue, make_user):
    tasks = make_tasks(PEOPLE * EACH)
    queue(tasks)
    served, raised = label_at_once(project, [make_user(f'user{number}') for number in range(PEOPLE)], EACH)
    assert raised == []
    assert sorted(task for ids in served.values() for task in ids) == tasks
    # Everybody goes forward through the queue.
    assert all(ids == sorted(ids) for ids in served.values())
    log = SampledTask.objects.filter(project=project)
    assert log.filter(served_at=None).count() == 0
    assert {(row.served_to_id, row.task_id) for row in log} == {
        (user, task) for user, ids in served.items() for task in ids
    }


def test_without_a_queue_nobody_is_given_what_another_has(project, plan, make_tasks, make_user):
    tasks = make_tasks(30)
    served, raised = label_at_once(project, [make_user(f'user{number}') for number in range(6)], 10)
    assert raised == []
    assert sorted(task for ids in served.values() for task in ids) == tasks


def test_a_task_for_two_is_given_to_two(project, make_tasks, queue, make_user):
    project.maximum_annotations = 2
    project.overlap_cohort_percentage = 100
    project.save()
    tasks = make_tasks(12, overlap=2)
    queue(tasks)
    served, raised = label_at_once(project, [make_user(f'user{number}') for number in range(6)], 12)
    assert raised == []
    counts = Counter(task for ids in served.values() for task in ids)
    assert max(counts.values()) <= 2
    assert all(len(set(ids)) == len(ids) for ids in served.values())
    # Upstream may have counted a task wrong to which two submitted at once; that does not outlast the next request.
    late = make_user('late')
    assert stream.get_next_task(pytest.fail, late, Task.objects.filter(project=project), project, False)[0] is None
    assert eligible.finished(project.pk, tasks) == set(tasks)


def test_one_who_asks_twice_at_once_is_not_given_two_tasks_for_long(project, make_tasks, queue, make_user):
    """Two tabs of one browser: each is given a task, and both are given back before another one is."""
    tasks = make_tasks(4)
    queue(tasks)
    user = make_user('ann')
    held, raised = [], []
    barrier = threading.Barrier(2)

    def ask():
        try:
            barrier.wait(30)
            task, _ = stream.get_next_task(pytest.fail, user, Task.objects.filter(project=project), project, False)
            held.append(task.pk)
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert raised == []
    assert set(held) <= set(tasks[:2])
    task, words = stream.get_next_task(pytest.fail, user, Task.objects.filter(project=project), project, False)
    assert (task.pk in held, words) == (True, 'Task lock')
