"""A real `label-studio start` in a process of its own, and a logged-in session that talks to it."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

PROGRAM = Path(sys.executable).parent / 'label-studio'
EMAIL, PASSWORD = 'lead@example.org', 'label-everything'


def free_port() -> int:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


class Server:
    """The command, its output, and a session of its first user."""

    def __init__(self, data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f'http://localhost:{self.port}'
        self.lines: list[str] = []
        command = [PROGRAM, 'start', *arguments, '--no-browser', '--port', str(self.port), '--data-dir', str(data_dir)]
        command += ['--username', EMAIL, '--password', PASSWORD]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith('LABEL_STUDIO_')}
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**inherited, **(environment or {})},
            cwd=data_dir.parent,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return '\n'.join(self.lines)

    def wait_until_ready(self, seconds: float = 240) -> 'Server':
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f'the command ended with {self.process.returncode}:\n{self.output}')
            if any('is ready' in line for line in self.lines):
                return self
            time.sleep(0.2)
        raise AssertionError(f'not ready after {seconds} s:\n{self.output}')

    def login(self) -> requests.Session:
        session = requests.Session()
        page = session.get(f'{self.url}/user/login/')
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text).group(1)
        answer = session.post(
            f'{self.url}/user/login/',
            data={'email': EMAIL, 'password': PASSWORD, 'csrfmiddlewaretoken': token},
            headers={'Referer': self.url},
        )
        assert answer.status_code == 200, answer.text[:500]
        session.headers['X-CSRFToken'] = session.cookies.get('csrftoken', '')
        session.headers['Referer'] = self.url
        return session

    def stop(self, how: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(60)


def processes_of(data_dir: Path) -> list[str]:
    """Command lines of processes that work in a data directory."""
    found = []
    for entry in Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace').strip()
            environment = (entry / 'environ').read_bytes().decode(errors='replace')
            folder = str((entry / 'cwd').readlink())
        except OSError:
            continue
        if str(data_dir) in command or f'={data_dir}' in environment or folder.startswith(str(data_dir)):
            found.append(f'{entry.name} {command}')
    return found
