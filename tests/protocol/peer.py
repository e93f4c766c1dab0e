"""An unmodified Label Studio from PyPI, in a virtual environment of its own and as a process of its own."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from pathlib import Path

import requests

from tests.e2e.browsing import until
from tests.e2e.server import free_port
from tests.upstream_suite.environment import CACHE, packages_below, site_packages

ROOT = Path(__file__).resolve().parent.parent.parent
PINNED = ROOT / 'upstream.txt'
EMAIL, PASSWORD = 'peer@example.org', 'label-everything'


def peer_python() -> Path:
    """Python of the environment, made when it is missing; ``LABEL_STUDIO_PEER_VENV`` names a ready one.

    The release comes from PyPI as it is. What it requires is the same as what the fork requires, so that is not
    installed again: its own folder comes first, and the packages of the environment that runs the tests behind it.
    """
    if ready := os.environ.get('LABEL_STUDIO_PEER_VENV'):
        return Path(ready) / 'bin' / 'python'
    parts = [sys.version, *packages_below(), PINNED.read_text(encoding='utf-8')]
    folder = CACHE / f'peer-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}'
    if not (folder / 'complete').exists():
        _make(folder)
        (folder / 'complete').touch()
    return folder / 'bin' / 'python'


def _make(folder: Path) -> None:
    venv.create(folder, with_pip=False, clear=True)
    python = folder / 'bin' / 'python'
    pip = [sys.executable, '-m', 'pip', '--python', str(python), '--disable-pip-version-check', 'install', '--quiet']
    subprocess.run([*pip, '--no-deps', '--require-hashes', '-r', str(PINNED)], check=True)
    # Folders added here come last on sys.path, and their own .pth files are followed.
    lines = [f'import site; site.addsitedir({path!r})\n' for path in packages_below()]
    (site_packages(python) / 'packages_below.pth').write_text(''.join(lines), encoding='utf-8')


class LabelStudio:
    """The other server, with a session of its owner, who made it a personal access token."""

    def __init__(self, folder: Path, database: Path) -> None:
        self.port = free_port()
        self.url = f'http://localhost:{self.port}'
        self.lines: list[str] = []
        folder.mkdir()
        # Migrating takes a minute, and the tables of the fork stand beside upstream's.
        shutil.copy(database, folder / 'label_studio.sqlite3')
        kept = {key: value for key, value in os.environ.items() if not key.startswith(('LABEL_STUDIO_', 'DJANGO_'))}
        environment = kept | {
            'LABEL_STUDIO_BASE_DATA_DIR': str(folder),
            # The model is on this machine.
            'ML_BLOCK_LOCAL_IP': 'false',
            'SSRF_PROTECTION_ENABLED': 'false',
            'COLLECT_ANALYTICS': 'false',
            'LATEST_VERSION_CHECK': 'false',
            # Tests share the machine with others; a second would be too short for them.
            'ML_TIMEOUT_HEALTH': '30',
            'ML_TIMEOUT_SETUP': '30',
        }
        command = [peer_python(), '-m', 'label_studio.server', 'start', '--no-browser', '--port', self.port]
        command += ['--username', EMAIL, '--password', PASSWORD]
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=tempfile.gettempdir(),
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def login(self) -> None:
        """Wait until it answers, and log in."""
        until(self._answers, 240)
        self.session = requests.Session()
        page = self.session.get(f'{self.url}/user/login/')
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        self.session.headers['Referer'] = self.url
        credentials = {'email': EMAIL, 'password': PASSWORD, 'csrfmiddlewaretoken': token}
        answer = self.session.post(f'{self.url}/user/login/', credentials)
        assert answer.status_code == 200, answer.text[:500]
        self.session.headers['X-CSRFToken'] = self.session.cookies['csrftoken']

    def _answers(self) -> bool:
        assert self.process.poll() is None, '\n'.join(self.lines)
        try:
            return requests.get(f'{self.url}/version', timeout=5).ok
        except requests.ConnectionError:
            return False

    def api(self, method: str, path: str, status: int, **options):
        """Call its API; the answer has to have this status."""
        answer = self.session.request(method, f'{self.url}{path}', **options)
        assert answer.status_code == status, f'{answer.status_code} {answer.text[:2000]}'
        return answer.json() if answer.content else None

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
