"""`label-studio start` as real processes: ready, serving, ended, with nothing left."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / 'label-studio'
pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def processes_of(directory: Path) -> dict[int, str]:
    """Living processes that have the data directory in their environment, or work in it: Redis overwrites the first."""
    found = {}
    wanted = f'LABEL_STUDIO_BASE_DATA_DIR={directory}'.encode()
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
            is_ours = wanted in (folder / 'environ').read_bytes().split(b'\0')
            if state != 'Z' and (is_ours or (folder / 'cwd').readlink().is_relative_to(directory)):
                found[int(folder.name)] = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
        except OSError:
            continue
    return found


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


class Server:
    """The command, read up to its ready line."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.port = free_port()
        command = [PROGRAM, 'start', *arguments, '--no-browser', '--port', str(self.port)]
        environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(directory)}
        for name in [name for name in environment if 'REDIS' in name]:
            del environment[name]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if 'ready at' in line:
                return
        raise AssertionError(''.join(self.lines))

    def has_worker(self) -> bool:
        return any('worker' in command for command in processes_of(self.directory).values())


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
    said = ''.join(server.lines)
    assert 'ML backend "image_classifier" is enabled on project "pets"' in said
    with urllib.request.urlopen(f'http://localhost:{server.port}/health', timeout=20) as answer:
        assert answer.status == 200
    assert wait_until(server.has_worker, 20)
    assert any('redis-server' in command for command in processes_of(server.directory).values())
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0
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
