"""Unmodified SDK backends in a real server: enabled, asked, clicked at, trained by the worker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.browsing import until
from tests.e2e.server import Server
from tests.sdk.cases import BACKENDS, TEXT_CONFIG

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).parent / 'label-studio'
WORDS, VOTES = '/api/projects/2/ml-backends/words/', '/api/projects/2/ml-backends/votes/'
TEXTS = [('a fine day', 'good'), ('rain again', 'bad')] * 8


def region(label):
    return {'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}


class Lead:
    """Somebody who added both backends to a server."""

    def __init__(self, data_dir):
        environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)}
        for name in ('words', 'votes'):
            subprocess.run([PROGRAM, 'plugins', 'add', BACKENDS / name], env=environment, check=True)
        arguments = ('demo', '--init', '--template', 'text_classification', '--ml-backend-name', 'words')
        self.server = Server(data_dir, *arguments).wait_until_ready()
        self.session = self.server.login()
        self.call('POST', '/api/projects/', 201, {'title': 'Moods', 'label_config': TEXT_CONFIG})
        self.call('POST', '/api/projects/2/import', 201, [{'text': text} for text, _ in TEXTS])

    def call(self, method, path, expected, body=None):
        answer = self.session.request(method, f'{self.server.url}{path}', json=body)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def predicted(self, task, version):
        """What an opened task shows of a version."""

        def found():
            predictions = self.call('GET', f'/api/tasks/{task}/', 200)['predictions']
            return [item for item in predictions if item['model_version'] == version]

        [prediction] = until(found)
        return prediction['result'][0]['value']['choices'][0]

    def click(self, backend, task, label):
        """What the editor does with a tool of the model."""
        rows = self.call('GET', '/api/ml?project=2', 200)
        number = next(row['id'] for row in rows if row['title'] == backend)
        body = {'task': task, 'context': {'result': [region(label)]}}
        return self.call('POST', f'/api/ml/{number}/interactive-annotating', 200, body)['data']

    def train(self, backend):
        """Train and wait; the log of the run."""
        run = self.call('POST', f'{backend}train/', 202)['id']
        done = until(lambda: self._ended(f'{backend}runs/{run}/'), 120)
        log = self.session.get(f'{self.server.url}{backend}runs/{run}/log/').text
        assert done['state'] == 'finished', log
        return log

    def _ended(self, path):
        run = self.call('GET', path, 200)
        return run if run['state'] not in ('queued', 'waiting', 'running') else None


@pytest.fixture(scope='module')
def lead(tmp_path_factory, migrated_database):
    data_dir = tmp_path_factory.mktemp('sdk') / 'data'
    data_dir.mkdir()
    (data_dir / 'label_studio.sqlite3').write_bytes(migrated_database.read_bytes())
    lead = Lead(data_dir)
    yield lead
    if lead.server.process.poll() is None:
        lead.server.stop(signal.SIGINT)


def test_it_is_named_at_the_start_as_any_other(lead):
    assert lead.call('GET', '/api/projects/1/ml-backends/words/', 200)['enabled']
    described = {row['name']: row for row in lead.call('GET', '/api/ml-plugins/', 200)}
    assert described['votes']['description'] == 'Votes, written for the ML backend SDK.'


def test_a_class_of_version_two_from_the_first_task_to_its_version(lead):
    lead.call('PATCH', WORDS, 200, {'enabled': True})
    assert lead.predicted(1, 'words-v0') == 'bad'
    assert lead.click('words', 1, 'good')['result'][0]['value']['choices'] == ['good']
    for number, (_, label) in enumerate(TEXTS[:12], start=1):
        lead.call('POST', f'/api/tasks/{number}/annotations/', 201, {'result': [region(label)]})
    log = lead.train(WORDS)
    # The worker sees what the web process stored, and the class fetched its labels without an address or a token.
    assert 'clicked was good' in log
    assert lead.predicted(15, 'words-v1') == 'good'
    # The web process sees what the worker stored.
    learned = round(lead.click('words', 15, 'bad')['score'] * 100)
    assert f'Learned from {learned} tasks' in log
    [version] = lead.call('GET', f'{WORDS}versions/', 200)
    assert version['state'] == 'in_service'
    # Held-out tasks were not shown to it, so the measure is an honest one.
    assert learned == 12 - version['metrics']['held_out_size'] < 12


def test_a_class_of_version_one_beside_it(lead):
    lead.call('PATCH', VOTES, 200, {'enabled': True})
    for number in (13, 14):
        lead.call('POST', f'/api/tasks/{number}/annotations/', 201, {'result': [region('good')]})
    lead.train(VOTES)
    assert json.loads(lead.session.get(f'{lead.server.url}{VOTES}versions/').text)[0]['metrics']['labels'] > 0
    lead.call('PATCH', '/api/projects/2/', 200, {'model_version': 'votes'})
    assert lead.predicted(16, 'votes-v1') == 'good'
