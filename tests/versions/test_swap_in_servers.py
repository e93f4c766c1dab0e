"""Two real web servers that are asked all the time while versions go in and out of service.

Neither shares a folder of versions with anybody: both fetch them from the storage of versions.
"""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from label_studio.ml_host.launcher import redis
from label_studio.ml_host.queues import SOCKET_VARIABLE
from tests.e2e.server import free_port
from tests.versions.two_servers import LOADING

PROGRAM = Path(__file__).with_name('two_servers.py')


@dataclass(frozen=True)
class Answer:
    """What one request got."""

    server: int
    status: int
    version: str
    began: float
    seconds: float


class Asking:
    """Asks both servers without a pause until it is told to stop."""

    def __init__(self, urls, project, token) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._address = f'/api/projects/{project}/predict'
        self._headers = {'Authorization': f'Token {token}'}
        self._threads = [threading.Thread(target=self._ask, args=(index, url)) for index, url in enumerate(urls)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, server: int, url: str) -> None:
        session = requests.Session()
        while not self._stop.is_set():
            began = time.monotonic()
            answer = session.post(url + self._address, json={'text': 'a'}, headers=self._headers, timeout=30)
            version = answer.json().get('model_version', '') if answer.ok else answer.text
            self.answers.append(Answer(server, answer.status_code, version, began, time.monotonic() - began))
            self._stop.wait(0.02)

    def first(self, server: int, version: str, after: float, seconds: float = 20) -> float:
        """When a server first answered with a version."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [item.began for item in self.answers if (item.server, item.version) == (server, version)]
            if later := [began for began in found if began > after]:
                return later[0]
            time.sleep(0.05)
        raise AssertionError(self.answers[-3:])


@pytest.fixture
def queue(data_dir):
    server = redis.start(data_dir / 'ml' / 'redis')
    yield server
    server.stop()


@pytest.fixture
def servers(data_dir, tmp_path, queue):
    """Addresses of two servers, with a project and a token."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith('LABEL_STUDIO_')}
    environment |= {'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir), SOCKET_VARIABLE: queue.socket}
    environment['ML_VERSION_STORAGE'] = 'django.core.files.storage.FileSystemStorage'
    environment['ML_VERSION_STORAGE_OPTIONS'] = json.dumps({'location': str(tmp_path / 'bucket')})
    ports = [free_port(), free_port()]
    log = tmp_path / 'servers.log'
    with log.open('wb') as stream:
        process = subprocess.Popen(
            [sys.executable, PROGRAM, *map(str, ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment,
        )
        try:
            line = process.stdout.readline()
            assert line, log.read_text()[-3000:]
            yield [f'http://127.0.0.1:{port}' for port in ports], json.loads(line)
        finally:
            process.stdin.close()
            process.wait(30)


def test_versions_are_swapped_without_a_failed_or_slow_request(servers, queue, data_dir):
    urls, prepared = servers
    project, headers = prepared['project'], {'Authorization': f'Token {prepared["token"]}'}
    for url in urls:
        wait_for(url, f'/api/projects/{project}/predict', headers)

    def swap(number: int) -> float:
        """Put a version in service at one server; after how many seconds the slower one answers with it."""
        begun = time.monotonic()
        address = f'{urls[0]}/api/projects/{project}/ml-backends/heavy/versions/{number}/put-in-service/'
        answer = requests.post(address, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        took = max(asking.first(server, f'heavy-v{number}', begun) for server in range(len(urls))) - begun
        later = [item.version for item in asking.answers if item.began > begun + took + 0.2]
        assert set(later) <= {f'heavy-v{number}'}
        return took

    with Asking(urls, project, prepared['token']) as asking:
        heard = swap(2)
        # From now on the servers have only the database to look at.
        queue.stop()
        seen = swap(3)
        back = swap(2)
    assert {item.status for item in asking.answers} == {200}, asking.answers[-1]
    # A request that waited for a load would take this long at least.
    assert max(item.seconds for item in asking.answers) < LOADING * 0.7
    fetched = sorted((data_dir / 'ml').glob('versions-*/heavy/*/v*'))
    assert [path.name for path in fetched] == ['v1', 'v2', 'v3'] * len(urls)
    # What is above loading; the version before is still in memory.
    assert (heard < 2 + LOADING, seen < 2 + LOADING, back < 2) == (True, True, True), (heard, seen, back)


def wait_for(url: str, path: str, headers) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            if requests.post(url + path, json={'text': 'a'}, headers=headers, timeout=30).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
        assert time.monotonic() < end
