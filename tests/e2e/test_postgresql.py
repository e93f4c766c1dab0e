"""A team's set-up with real processes: PostgreSQL, Redis, two web servers and a worker, each started by itself."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from redis import Redis
from redis.exceptions import RedisError

from label_studio.ml_host.launcher.redis import find_server
from tests.e2e.server import PROGRAM, Server, free_port, processes_of
from tests.installed_plugins import install_plugins

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'operate.md'
SECTION = '## Web servers and workers apart'
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
TEXTS = {'good': 'what a sunny day', 'bad': 'nothing but cold rain'}


def until(check, seconds=60.0, every=0.2):
    """Wait until `check` gives something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, f'still {found!r} after {seconds} s'
        time.sleep(every)
    return found


def documented() -> tuple[set[str], list[list[str]]]:
    """The variables that the documentation exports, and its commands in words."""
    section = DOCS.read_text(encoding='utf-8').partition(SECTION)[2].partition('\n## ')[0]
    lines = [shlex.split(line) for line in re.findall(r'^\$ (.*)$', section, re.MULTILINE)]
    exported = {word.partition('=')[0] for words in lines if words[0] == 'export' for word in words[1:]}
    return exported, [words for words in lines if words[0] != 'export']


@pytest.fixture
def queue_server(tmp_path):
    """A Redis on a port, with a password: its address."""
    program = find_server()
    if program is None:
        pytest.skip('there is no Redis server')
    folder, port, password = tmp_path / 'redis', free_port(), 'queue-secret'
    folder.mkdir()
    options = ['--port', str(port), '--bind', '127.0.0.1', '--requirepass', password, '--save', '', '--dir', folder]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)

    def answers():
        try:
            return Redis(port=port, password=password).ping()
        except RedisError:
            return False

    try:
        until(answers, 20)
        yield port, password
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def environment(postgresql, queue_server, tmp_path):
    """What every process of the set-up is told."""
    data = tmp_path / 'srv labels'
    data.mkdir()
    port, password = queue_server
    return {
        **postgresql.environment(postgresql.create()),
        'REDIS_URL': f'redis://:{password}@127.0.0.1:{port}/0',
        'LABEL_STUDIO_BASE_DATA_DIR': str(data),
        'PYTHONPATH': str(install_plugins(tmp_path, 'mlp_demo')),
    }


@pytest.fixture
def spawn(environment, tmp_path):
    """Starts a program of the set-up; ends what is left."""
    processes = []

    def started(*command: str, **more: str) -> subprocess.Popen:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith('LABEL_STUDIO_')}
        with (tmp_path / 'output.log').open('ab') as log:
            process = subprocess.Popen(
                [Path(sys.executable).parent / command[0], *command[1:]],
                env={**inherited, **environment, **more},
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def web(environment):
    """`label-studio start` without a worker of its own."""
    data = Path(environment['LABEL_STUDIO_BASE_DATA_DIR'])
    server = Server(data, environment={**environment, 'ML_WORKERS': '0'}).wait_until_ready()
    yield server
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


class Team:
    """What a person does, at whichever web server."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self.session, self.url = session, url

    def call(self, method: str, path: str, expected: int, **body):
        answer = self.session.request(method, f'{self.url}{path}', timeout=60, **body)
        assert answer.status_code == expected, f'{method} {path}: {answer.status_code} {answer.text[:2000]}'
        return answer.json()

    def at(self, url: str) -> 'Team':
        self.session.headers['Referer'] = url
        return Team(self.session, url)

    def import_tasks(self, project: int, count: int) -> dict[str, list[int]]:
        found = {}
        for mood, text in TEXTS.items():
            tasks = [{'data': {'text': f'{text} {number}'}} for number in range(count)]
            path = f'/api/projects/{project}/import?return_task_ids=true'
            found[mood] = self.call('POST', path, 201, json=tasks)['task_ids']
        return found

    def label(self, task: int, mood: str) -> None:
        region = {'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [mood]}}
        self.call('POST', f'/api/tasks/{task}/annotations/', 201, json={'result': [region]})

    def predicted(self, task: int) -> tuple[str, str] | None:
        """Version and choice of the prediction that the task opens with."""
        predictions = self.call('GET', f'/api/tasks/{task}/', 200)['predictions']
        assert len(predictions) <= 1
        return next(((p['model_version'], p['result'][0]['value']['choices'][0]) for p in predictions), None)


def serve_elsewhere(spawn, port: int) -> str:
    """Another WSGI server of the same set-up; returns its address when it answers."""
    process = spawn('waitress-serve', '--threads=8', f'--port={port}', 'label_studio.ml_host.wsgi:application')
    url = f'http://localhost:{port}'

    def answers():
        assert process.poll() is None
        try:
            return requests.get(f'{url}/health', timeout=10).ok
        except requests.ConnectionError:
            return False

    until(answers, 120)
    return url


def test_web_servers_and_worker_share_postgresql_and_redis(web, spawn, environment, postgresql):
    data = Path(environment['LABEL_STUDIO_BASE_DATA_DIR'])
    here = Team(web.login(), web.url)
    project = here.call('POST', '/api/projects/', 201, json={'title': 'Moods', 'label_config': CONFIG})['id']
    tasks = here.import_tasks(project, 8)
    demo = f'/api/projects/{project}/ml-backends/demo/'
    assert here.call('PATCH', demo, 200, json={'enabled': True})['enabled']
    for mood, numbers in tasks.items():
        for number in numbers[:5]:
            here.label(number, mood)

    # The web server has neither a Redis nor a worker: the run waits for the worker that is started apart.
    first = here.call('POST', f'{demo}train/', 202)['id']
    time.sleep(4)
    assert here.call('GET', f'{demo}runs/{first}/', 200)['state'] == 'queued'
    assert not (data / 'ml' / 'redis').exists()
    assert [line for line in processes_of(data) if 'redis-server' in line or ' worker' in line] == []
    worker = spawn('label-studio', 'worker')

    def run_ended(run):
        state = here.call('GET', f'{demo}runs/{run}/', 200)
        assert state['state'] not in ('failed', 'cancelled'), state
        return state['state'] == 'finished'

    until(lambda: run_ended(first), 120)
    assert until(lambda: here.predicted(tasks['good'][6])) == ('demo-v1', 'good')
    assert until(lambda: here.predicted(tasks['bad'][6])) == ('demo-v1', 'bad')

    # Another web server knows the login and the version.
    there = here.at(serve_elsewhere(spawn, free_port()))
    assert until(lambda: there.predicted(tasks['bad'][7])) == ('demo-v1', 'bad')

    # The database is restarted: nobody else has to be.
    postgresql.restart()
    there.label(tasks['good'][7], 'good')
    second = there.call('POST', f'{demo}train/', 202)['id']
    until(lambda: run_ended(second), 120)
    for team in (here.at(web.url), there.at(there.url)):
        assert until(lambda team=team: team.predicted(tasks['good'][5])) == ('demo-v2', 'good')

    # Another worker takes its place.
    worker.terminate()
    assert worker.wait(60) == 0
    spawn('label-studio', 'worker', '--queues', 'ml_train')
    third = here.call('POST', f'{demo}train/', 202)['id']
    until(lambda: run_ended(third), 120)
    assert web.stop(signal.SIGINT) == 0


def test_the_documentation_says_what_was_done(environment):
    """The commands above are those of the documentation, with other hosts, ports and folders."""
    exported, commands = documented()
    assert exported == set(environment) - {'PYTHONPATH'}
    assert [[word for word in words if 'port' not in word and word != '8080'] for words in commands] == [
        ['ML_WORKERS=0', 'label-studio', 'start', '--no-browser'],
        ['waitress-serve', '--threads=8', 'label_studio.ml_host.wsgi:application'],
        ['label-studio', 'worker'],
        ['label-studio', 'worker', '--queues', 'ml_train'],
    ]


def test_a_database_that_does_not_answer_is_named(environment, tmp_path):
    """One sentence instead of a traceback."""
    lost = {**environment, 'POSTGRE_PORT': str(free_port())}
    done = subprocess.run(
        [PROGRAM, 'start', '--no-browser'], env={**os.environ, **lost}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert 'The database' in done.stderr
    assert lost['POSTGRE_PORT'] in done.stderr
    assert 'Traceback' not in done.stderr
