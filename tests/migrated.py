"""Migrated databases, made once and copied: migrating takes a minute of processor time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get('LABEL_STUDIO_TEST_CACHE', Path(tempfile.gettempdir()) / 'label-studio-test-cache'))


def schema_key() -> str:
    """Another upstream, or another migration of ours, needs another database."""
    digest = hashlib.sha256((ROOT / 'upstream.txt').read_bytes())
    host = ROOT / 'label_studio' / 'ml_host'
    for path in [*sorted((host / 'migrations').glob('*.py')), host / 'sampling' / 'indexes.py']:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def migrate(environment: Mapping[str, str]) -> None:
    """Run the fork's migrations in a process of their own."""
    command = [sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0']
    subprocess.run(command, env={**os.environ, **environment}, check=True, cwd=ROOT)


@contextlib.contextmanager
def template_folder() -> Iterator[Path]:
    """Where migrated databases of this schema are kept; one test run at a time may make them."""
    folder = CACHE / schema_key()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def migrated_sqlite() -> Path:
    """A migrated SQLite file to copy."""
    with template_folder() as folder:
        database = folder / 'label_studio.sqlite3'
        if not (folder / 'complete').exists():
            migrate({'LABEL_STUDIO_BASE_DATA_DIR': str(folder), 'DJANGO_DB': 'sqlite'})
            (folder / 'complete').touch()
    return database
