"""`label-studio start` as real processes: ready, serving, ended, with nothing left."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from label_studio.ml_host.launcher import redis
from tests.launcher.server import PROGRAM, Server, processes_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')


@pytest.fixture
def start(data_dir):
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        servers.append(Server(data_dir, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


NAMED = ('--username', 'lead@example.org', '--password', 'label-everything')


def test_start_serves_and_ctrl_c_ends_everything(start):
    server = start(
        'pets', '--init', '--template', 'image_classification', '--ml-backend-name', 'image_classifier', *NAMED
    )
    from label_studio import __version__

    assert server.lines == [
        f'Label Studio {__version__} starts; everything is kept in {server.directory}\n',
        'Project with title "pets" successfully created\n',
        'ML backend "image_classifier" is enabled on project "pets"\n',
        f'Label Studio is ready at http://localhost:{server.port}\n',
    ]
    with urllib.request.urlopen(f'http://localhost:{server.port}/health', timeout=20) as answer:
        assert answer.status == 200
    assert wait_until(server.has_worker, 20)
    assert any('redis-server' in command for command in processes_of(server.directory).values())
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0
    assert server.process.stdout.read() == 'Label Studio is stopping.\n'
    assert processes_of(server.directory) == {}


def test_kill_of_the_parent_leaves_nothing_and_the_next_start_goes_on(start):
    first = start('pets', '--init', '--template', 'image_classification', *NAMED)
    assert wait_until(first.has_worker, 20)
    first.process.kill()
    first.process.wait()
    assert wait_until(lambda: processes_of(first.directory) == {}, 15)
    second = start('pets', '--init', '--ml-backend-name', 'image_classifier')
    said = ''.join(second.lines)
    assert 'Project "pets" already exists' in said
    assert 'is enabled on project "pets"' in said
    second.process.terminate()
    assert second.process.wait(30) == 0


def test_the_second_server_of_a_data_directory_runs_the_queue_when_the_first_ends(start):
    first, second = start(), start()
    socket = str(first.directory / 'ml' / 'redis' / 'redis.sock')

    def queues() -> list[int]:
        return [pid for pid, command in first.processes().items() if 'redis-server' in command]

    [before] = queues()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(60) == 0
    assert wait_until(lambda: redis.answers(socket) and queues() != [before], 20)
    assert len(queues()) == 1
    second.process.terminate()
    assert second.process.wait(60) == 0
    assert second.processes() == {}


def test_a_backend_that_cannot_serve_the_template_ends_the_command(data_dir):
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)}
    template = ('--template', 'named_entity_recognition', '--ml-backend-name', 'image_classifier')
    command = [PROGRAM, 'start', 'texts', '--init', *template, *NAMED, '--no-browser']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert '<Labels> on <Text>' in done.stderr
    assert processes_of(data_dir) == {}


def test_a_new_project_needs_somebody_to_own_it(data_dir):
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)}
    command = [PROGRAM, 'start', 'texts', '--init', '--no-browser']
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 1
    assert '--username' in done.stderr and '--password' in done.stderr
