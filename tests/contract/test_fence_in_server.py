"""A plugin in a process of its own, in a real server: what kills it costs one prediction, and nothing stays behind."""

import signal
import sys
import time

import pytest
import requests

from tests.e2e.server import Server, processes_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc'),
]

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
TEXTS = (
    'fine',
    'segfault',
    'fine again',
    'leave',
    'fine still',
    'allocate',
    'fine too',
    'raise',
    'hang',
    'fine at last',
)


@pytest.fixture
def server(plugin_path, data_dir):
    config = data_dir.parent / 'config.xml'
    config.write_text(CONFIG)
    environment = {
        'PYTHONPATH': str(plugin_path),
        'ML_OPEN_BUDGET': '30',
        'ML_PREDICT_TIMEOUT': '4',
        'ML_BREAKER_FAILURES': '20',
    }
    arguments = ['moods', '--init', '--label-config', str(config), '--ml-backend-name', 'broken_fenced']
    server = Server(data_dir, *arguments, environment=environment)
    yield server
    server.stop(signal.SIGKILL)


class Person:
    """Opens tasks and looks at pages."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.session: requests.Session = server.login()
        [project] = self.session.get(f'{self.url}/api/projects/').json()['results']
        self.project = f'{self.url}/api/projects/{project["id"]}'
        self.page = f'{self.url}/projects/{project["id"]}/ml-backends/'
        added = self.session.post(f'{self.project}/import', json=[{'text': text} for text in TEXTS])
        assert added.status_code == 201, added.text
        tasks = self.session.get(f'{self.url}/api/tasks/', params={'project': project['id'], 'page_size': 100}).json()
        self.tasks = {task['data']['text']: task['id'] for task in tasks['tasks']}

    def open(self, text: str) -> list:
        """The predictions of a task."""
        opened = self.session.get(f'{self.url}/api/tasks/{self.tasks[text]}/', timeout=60)
        assert opened.status_code == 200, opened.text
        return [item['result'][0]['value']['choices'] for item in opened.json()['predictions']]

    def read(self, url: str) -> str:
        answer = self.session.get(url)
        assert answer.status_code == 200, answer.text
        return answer.text


def fences(data_dir) -> list[str]:
    return [line.split()[0] for line in processes_of(data_dir) if 'ml_plugins.runtime.fence' in line]


def wait_for(condition, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return met


def test_whatever_happens_in_it_people_go_on(server, data_dir):
    person = Person(server.wait_until_ready())
    assert person.open('fine') == [['good']]
    [first] = fences(data_dir)

    assert person.open('segfault') == []
    assert person.open('fine again') == [['good']]
    [second] = fences(data_dir)
    assert second != first

    assert person.open('leave') == []
    assert person.open('fine still') == [['good']]
    [third] = fences(data_dir)
    assert third != second

    assert person.open('allocate') == []
    assert person.open('raise') == []
    assert person.open('fine too') == [['good']]
    assert fences(data_dir) == [third]

    started = time.monotonic()
    assert person.open('hang') == []
    assert time.monotonic() - started < 10
    assert wait_for(lambda: third not in fences(data_dir))
    assert person.open('fine at last') == [['good']]

    page = person.read(person.page).replace('&#x27;', "'")
    for words in ('was ended by SIGSEGV', 'exit status 3', '(fence_memory)', 'broken in predict', 'did not answer'):
        assert words in page, words
    assert 'mlp_broken_fenced/backend.py' in page
    figures = person.read(f'{person.url}/metrics/ml')
    assert 'label_studio_ml_failures_total{plugin="broken_fenced",stage="predict"} 5.0' in figures
    assert 'label_studio_ml_loads_total{plugin="broken_fenced",result="ok"} 4.0' in figures

    assert len(fences(data_dir)) == 1
    server.stop(signal.SIGKILL)
    assert wait_for(lambda: not processes_of(data_dir)), processes_of(data_dir)


def test_it_ends_with_the_server(server, data_dir):
    person = Person(server.wait_until_ready())
    assert person.open('fine') == [['good']]
    assert len(fences(data_dir)) == 1
    assert server.stop(signal.SIGINT) == 0
    assert wait_for(lambda: not processes_of(data_dir), 5), processes_of(data_dir)
