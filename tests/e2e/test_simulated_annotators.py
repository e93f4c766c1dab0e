"""Active learning through a running server: simulated annotators, alone with a model that learns, and many at once."""

import shutil
import signal

import pytest

from tests.benchmarks import bench_simulated_annotators as simulated
from tests.benchmarks import digits_plugin, team
from tests.e2e.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def server(tmp_path_factory, migrated_database):
    folder = tmp_path_factory.mktemp('active-learning')
    (folder / 'data').mkdir()
    shutil.copy(migrated_database, folder / 'data' / 'label_studio.sqlite3')
    site = digits_plugin.install(folder / 'site')
    team.install(site)
    server = Server(folder / 'data', environment={'PYTHONPATH': str(site)})
    yield server.wait_until_ready()
    if server.process.poll() is None:
        server.stop(signal.SIGINT)


def test_labels_that_a_model_chose_are_worth_more(server):
    annotator = simulated.Annotator(server, server.login(), seed=3, strategy='automatic')
    found = simulated.patient(annotator, labels=40)
    # Ten labels at random give 0.44 on average, forty give 0.75.
    assert found.curve[10] >= 0.55
    assert found.curve[40] >= 0.80
    assert found.sources == {'Active learning queue': 40}
    state = annotator.state()['sampling']
    assert (state['scored_version'], state['fallback']) == ('digits_model-v3', '')


def test_people_at_once_are_given_different_tasks_and_the_best_ones(server):
    people = team.Team(server, server.login(), people=8, tasks=400)
    served = people.label(each=20)
    assert served.errors == []
    assert served.most_of_a_task == 1
    assert len(served.priorities) == 160
    assert people.share_of_ideal(served) >= 0.95
