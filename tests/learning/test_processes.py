"""A web server of one's own, and a worker: labels become a version by themselves, and old predictions new ones."""

import pytest

from tests.e2e.server import free_port
from tests.prelabeling.processes import Processes


@pytest.fixture
def processes(data_dir, redis_socket):
    made = Processes(data_dir, LABEL_STUDIO_ML_REDIS_SOCKET=redis_socket)
    yield made
    made.close()


def test_labels_become_a_version_and_the_version_predicts(processes):
    project = processes.prepare(30)
    processes.start_run(project)
    processes.do('learn', project=project, after_labels=3)
    # Two servers watch; neither was started by our own command.
    for _ in range(2):
        processes.serve(free_port(), begins=False)
    processes.work(queue='ml_train')
    processes.until(lambda found: found['state'] == 'finished')
    processes.do('label', project=project, count=3)
    found = processes.until(lambda found: found['predicted'].get('sleepy-v1') == 27, command='learned')
    assert found['runs'] == [['finished', '3 new labels', '']]
    assert found['in_service'] == 1
    # Those of the labeled tasks stay; the others were replaced.
    assert found['predicted']['sleepy-v0'] == 3
    # Two are not enough for the next one.
    processes.do('label', project=project, count=2)
    processes.do('label', project=project, count=1)
    found = processes.until(lambda found: found['in_service'] == 2, command='learned')
    assert [run[:2] for run in found['runs']] == [['finished', '3 new labels'], ['finished', '3 new labels']]
