"""The suite's own virtual environment: upstream's old pytest, laid over the environment that holds the fork."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.migrated import CACHE

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / 'requirements.txt'


def suite_python() -> Path:
    """Python of the suite's environment, made when it is missing; ``UPSTREAM_SUITE_VENV`` names a ready one."""
    if ready := os.environ.get('UPSTREAM_SUITE_VENV'):
        return Path(ready) / 'bin' / 'python'
    folder = CACHE / f'upstream-suite-{environment_key()}'
    if not (folder / 'complete').exists():
        make_environment(folder)
        (folder / 'complete').touch()
    return folder / 'bin' / 'python'


def environment_key() -> str:
    """Another Python, another environment below, or other requirements need another environment."""
    parts = [sys.version, *packages_below(), REQUIREMENTS.read_text(encoding='utf-8')]
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:16]


def packages_below() -> list[str]:
    """Folders with the packages of the Python that runs this."""
    return sorted({sysconfig.get_path(name) for name in ('purelib', 'platlib')})


def make_environment(folder: Path) -> None:
    """Install only what the environment below has not, or has in another version; that takes seconds, not minutes."""
    venv.create(folder, with_pip=False, clear=True)
    python = folder / 'bin' / 'python'
    # Folders added here come last on sys.path, and their own .pth files (an editable install) are followed.
    lines = [f'import site; site.addsitedir({path!r})\n' for path in packages_below()]
    (site_packages(python) / 'environment_below.pth').write_text(''.join(lines), encoding='utf-8')
    pip = [sys.executable, '-m', 'pip', '--python', str(python), '--disable-pip-version-check', 'install', '--quiet']
    subprocess.run([*pip, '-r', str(REQUIREMENTS)], check=True)


def site_packages(python: Path) -> Path:
    """Where an environment keeps its packages."""
    command = [str(python), '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
