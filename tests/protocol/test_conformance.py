"""An unmodified Label Studio from PyPI connects to `label-studio serve`, predicts, trains, and disconnects."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.e2e.browsing import until
from tests.e2e.learning_plugin import install
from tests.e2e.server import free_port
from tests.protocol.peer import LabelStudio

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).parent / 'label-studio'
EMAIL, PASSWORD = 'models@example.org', 'label-everything'
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    '<Choice value="music"/><Choice value="sport"/></Choices></View>'
)
WORDS = {'music': 'guitar concert melody', 'sport': 'goal match referee'}


class Models:
    """`label-studio serve word_counts`, as a process."""

    def __init__(self, folder: Path, data_dir: Path, peer_url: str) -> None:
        self.port = free_port()
        self.url = f'http://localhost:{self.port}/ml/word_counts'
        self.lines: list[str] = []
        kept = {key: value for key, value in os.environ.items() if not key.startswith('LABEL_STUDIO_')}
        command = [PROGRAM, 'serve', 'word_counts', '--port', self.port, '--data-dir', data_dir]
        command += ['--username', EMAIL, '--password', PASSWORD, '--remote-host', peer_url]
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=kept | {'PYTHONPATH': str(install(folder))},
            cwd=data_dir.parent,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_until_ready(self) -> None:
        until(lambda: self.process.poll() is not None or any('curl' in line for line in self.lines), 240)
        assert self.process.poll() is None, '\n'.join(self.lines)

    def ask(self, path: str, **body):
        call = requests.post if body else requests.get
        return call(f'{self.url}{path}', auth=(EMAIL, PASSWORD), timeout=30, **({'json': body} if body else {}))


@pytest.fixture(scope='module')
def servers(tmp_path_factory, migrated_database):
    import shutil

    folder = tmp_path_factory.mktemp('conformance')
    data_dir = folder / 'data'
    data_dir.mkdir()
    shutil.copy(migrated_database, data_dir / 'label_studio.sqlite3')
    peer = LabelStudio(folder / 'peer', migrated_database)
    models = Models(folder / 'plugins', data_dir, peer.url)
    try:
        peer.login()
        models.wait_until_ready()
        yield peer, models
    finally:
        peer.stop()
        if models.process.poll() is None:
            models.process.send_signal(signal.SIGINT)
        assert models.process.wait(60) == 0


@pytest.fixture(scope='module')
def project(servers):
    """A project there with four tasks, connected here with the fields of its form, and a token in the extra params."""
    peer, models = servers
    created = peer.api('POST', '/api/projects/', 201, json={'title': 'Topics', 'label_config': CONFIG})
    texts = [{'data': {'text': f'{WORDS[label]} {number}'}} for number in range(2) for label in WORDS]
    peer.api('POST', f'/api/projects/{created["id"]}/import', 201, json=texts)
    token = peer.api('POST', '/api/token/', 201)['token']
    form = {
        'project': created['id'],
        'url': models.url,
        'title': 'words',
        'auth_method': 'BASIC_AUTH',
        'basic_auth_user': EMAIL,
        'basic_auth_pass': PASSWORD,
        'is_interactive': True,
        'extra_params': {'access_token': token},
    }
    wrong = peer.session.post(f'{peer.url}/api/ml', json=form | {'basic_auth_pass': 'wrong'})
    assert wrong.status_code == 400
    assert 'authentication parameters' in wrong.text
    connected = peer.api('POST', '/api/ml', 201, json=form)
    assert connected['readable_state'] == 'Connected'
    assert connected['model_version'] == 'word_counts-v0'
    return created['id'], connected['id']


def tasks_of(peer, project_id: int) -> list[dict]:
    found = peer.api('GET', f'/api/tasks?project={project_id}&fields=all', 200)['tasks']
    return sorted(found, key=lambda task: task['id'])


def test_it_trains_predicts_and_serves_the_new_version(servers, project):
    peer, models = servers
    project_id, connection = project
    tasks = tasks_of(peer, project_id)
    assert [task['predictions'] for task in tasks] == [[], [], [], []]

    for task, label in zip(tasks[:2], WORDS, strict=True):
        region = {'from_name': 'topic', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}
        peer.api('POST', f'/api/tasks/{task["id"]}/annotations/', 201, json={'result': [region]})
    peer.api('POST', f'/api/ml/{connection}/train', 200)
    until(lambda: models.ask('/versions').json()['versions'] == ['word_counts-v1'], 180)
    assert models.ask('/job_status', job='1').json()['job_status'] == 'finished'
    versions = peer.api('GET', f'/api/ml/{connection}/versions', 200)
    assert versions['versions'] == ['word_counts-v1']

    # Opened: its label stream shows the prediction.
    opened = peer.api('GET', f'/api/projects/{project_id}/next', 200)
    (prediction,) = opened['predictions']
    assert prediction['model_version'] == 'word_counts-v1'
    assert prediction['result'][0]['value']['choices'] == ['music']
    # Retrieved for all.
    body = {'selectedItems': {'all': True, 'excluded': []}, 'project': project_id}
    peer.api('POST', f'/api/dm/actions?id=retrieve_tasks_predictions&project={project_id}', 200, json=body)
    said = [task['predictions'][0]['result'][0]['value']['choices'] for task in tasks_of(peer, project_id)]
    assert said == [['music'], ['sport'], ['music'], ['sport']]
    # Asked from the editor.
    drawn = {'task': tasks[3]['id'], 'context': {'result': []}}
    answer = peer.api('POST', f'/api/ml/{connection}/interactive-annotating', 200, json=drawn)
    assert answer['data']['result'][0]['value']['choices'] == ['sport']


def test_what_is_relabeled_and_deleted_there_is_forgotten_here(servers, project):
    peer, models = servers
    project_id, connection = project
    tasks = tasks_of(peer, project_id)
    for task in tasks:
        for annotation in task['annotations']:
            peer.api('DELETE', f'/api/annotations/{annotation["id"]}/', 204)
    for task, label in zip(tasks[:2], reversed(WORDS), strict=True):
        region = {'from_name': 'topic', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}
        peer.api('POST', f'/api/tasks/{task["id"]}/annotations/', 201, json={'result': [region]})
    peer.api('POST', f'/api/ml/{connection}/train', 200)
    until(lambda: models.ask('/versions').json()['versions'] == ['word_counts-v2', 'word_counts-v1'], 180)
    # The connection shows the new version, and tasks are predicted with it.
    shown = peer.api('GET', f'/api/ml/{connection}', 200)
    assert (shown['readable_state'], shown['model_version']) == ('Connected', 'word_counts-v2')
    answer = peer.api('POST', f'/api/ml/{connection}/predict/test?random=true', 200)
    assert answer['response'][0]['model_version'] == 'word_counts-v2'
    drawn = {'task': tasks[3]['id'], 'context': {'result': []}}
    answer = peer.api('POST', f'/api/ml/{connection}/interactive-annotating', 200, json=drawn)
    assert answer['data']['result'][0]['value']['choices'] == ['music']


def test_the_connection_is_deleted(servers, project):
    peer, _models = servers
    project_id, connection = project
    peer.api('DELETE', f'/api/ml/{connection}', 204)
    assert peer.api('GET', f'/api/ml?project={project_id}', 200) == []
    opened = peer.api('GET', f'/api/projects/{project_id}/next', 200)
    assert opened['id']


def test_its_events_arrive_where_the_address_carries_the_credentials(servers):
    peer, models = servers
    created = peer.api('POST', '/api/projects/', 201, json={'title': 'Events', 'label_config': CONFIG})
    peer.api('POST', f'/api/projects/{created["id"]}/import', 201, json=[{'data': {'text': 'goal'}}])
    (task,) = tasks_of(peer, created['id'])
    address = models.url.replace('http://', f'http://{quote(EMAIL)}:{PASSWORD}@')
    # Nothing can be fetched from there, so what is learned came with the events.
    form = {'project': created['id'], 'url': address, 'title': 'words', 'is_interactive': True}
    form['extra_params'] = {'hostname': 'http://[::1]:9'}
    connected = peer.api('POST', '/api/ml', 201, json=form)
    region = {'from_name': 'topic', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['sport']}}
    peer.api('POST', f'/api/tasks/{task["id"]}/annotations/', 201, json={'result': [region]})
    peer.api('POST', f'/api/ml/{connected["id"]}/train', 200)
    until(lambda: peer.api('GET', f'/api/ml/{connected["id"]}', 200)['model_version'] == 'word_counts-v1', 180)
    drawn = {'task': task['id'], 'context': {'result': []}}
    answer = peer.api('POST', f'/api/ml/{connected["id"]}/interactive-annotating', 200, json=drawn)
    assert answer['data']['result'][0]['value']['choices'] == ['sport']


def test_there_are_no_pages(servers):
    _peer, models = servers
    answer = requests.get(f'http://localhost:{models.port}/projects/', timeout=30)
    assert (answer.status_code, answer.json()['code']) == (404, 'not_found')
    assert requests.get(f'http://localhost:{models.port}/health', timeout=30).json()['status'] == 'UP'
