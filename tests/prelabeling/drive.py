"""Moves bulk runs on in the test's own thread, as the server's background threads do."""

import time

from label_studio.ml_host.models import PrelabelRun
from label_studio.ml_host.prelabeling import conductor, turns
from label_studio.ml_host.upstream import Task


def make_tasks(project, count, **fields):
    """Tasks with inline data; returns their numbers."""
    rows = [Task(project=project, data={'image': f'picture {number}'}, **fields) for number in range(count)]
    Task.objects.bulk_create(rows, batch_size=500)
    return sorted(Task.objects.filter(project=project).values_list('id', flat=True))[-count:]


def until_idle(rounds=20):
    """Begin, work on and end runs until nothing is left to do."""
    for _ in range(rounds):
        conductor.begin_runs()
        while turns.work_next():
            pass
        conductor.end_runs()
        if not PrelabelRun.objects.filter(state__in=('queued', 'running')).exists():
            return


def finish(run):
    """Work a run off and read it again."""
    until_idle()
    run.refresh_from_db()
    return run


def eventually(check, seconds=20):
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.05)
    return False
