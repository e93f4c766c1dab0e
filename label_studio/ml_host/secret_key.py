"""One secret key for every process of a data directory; a login at one web server is a login at all of them.

Upstream makes the key in the process that misses it first, and its reader takes a value that starts with ``$`` for the
name of another variable. Of fifty keys that it makes, one starts so: each process then makes a key of its own, and each
restart logs everybody out (``core/utils/secret_key.py``). Two processes that start together make two keys as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from pathlib import Path

import environ

VARIABLE = 'SECRET_KEY'


def settle_secret_key(directory: Path) -> None:
    """Put a key that upstream reads as it stands into the environment; make and keep one if there is none.

    Args:
        directory: The data directory, whose ``.env`` keeps the key.
    """
    path = Path(directory) / '.env'
    # Where it cannot be kept, upstream says so and makes one for this process.
    with contextlib.suppress(OSError):
        if not _read(path):
            _make(path)
    given = os.environ.get(VARIABLE, '')
    if given.startswith('$') and not os.environ.get(given.lstrip('$')):
        # The same key in every process, and one that names no variable.
        os.environ[VARIABLE] = hashlib.sha256(given.encode()).hexdigest()


def _read(path: Path) -> str:
    if not os.environ.get(VARIABLE):
        # An empty one, as compose files pass on what is not set, would hide the file's.
        os.environ.pop(VARIABLE, None)
    if path.is_file():
        environ.Env.read_env(str(path))
    return os.environ.get(VARIABLE, '')


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, 'a', encoding='utf-8') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have been quicker.
        if not _read(path):
            key = secrets.token_urlsafe(48)
            file.write(f'\n{VARIABLE}={key}\n')
            os.environ[VARIABLE] = key
