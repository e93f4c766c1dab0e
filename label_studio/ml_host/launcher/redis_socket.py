"""The socket of the private Redis, as its clients reach it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

SOCKET_NAME = 'redis.sock'
# A unix socket's path holds 108 bytes with its end on Linux, 104 on macOS.
LONGEST_PATH = 100


@dataclass
class ClientSocket:
    """A path to the server's socket that is short enough for clients; a link where the real one is too long."""

    directory: Path
    path: str = field(init=False)
    _folder: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.path = str(self.directory / SOCKET_NAME)
        if len(os.fsencode(self.path)) <= LONGEST_PATH:
            return
        # A TMPDIR of its own may be as long again.
        self._folder = tempfile.mkdtemp(prefix='label-studio-', dir='/tmp')
        link = Path(self._folder) / 'r'
        link.symlink_to(self.directory, target_is_directory=True)
        self.path = str(link / SOCKET_NAME)

    def remove(self) -> None:
        """Take the link away; the server's files stay."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def answers(path: str) -> bool:
    """Whether a server is alive on that socket, be it still loading its data."""
    try:
        with Redis(unix_socket_path=path, socket_timeout=2) as client:
            return bool(client.ping())
    except BusyLoadingError:
        # A large append-only file takes a while; clients retry.
        return True
    except (RedisError, OSError):
        return False
