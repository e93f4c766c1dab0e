"""Start and end the process of a fenced backend, and say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from ml_plugins.exceptions import BackendCrashError, MLPluginError
from ml_plugins.runtime.fence.messages import OUT_OF_MEMORY_EXIT, Close, OtherProcessTraceback, decode, encode

# How long a process may take to end by itself, in seconds.
PATIENCE = 5.0
_MOST_TRACE = 20_000


class FenceProcess:
    """A running child with the pipe to it."""

    def __init__(self, plugin: str, memory_limit: int) -> None:
        if sys.platform == 'win32':
            raise MLPluginError(f'{plugin} has fence = "process", which needs Linux or macOS; set fence = "thread"')
        self._plugin = plugin
        self._memory_limit = memory_limit
        # Where the child writes its stack when native code crashes.
        self._trace: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _starter(os.getpid()).submit(_start, theirs.fileno(), self._trace.fileno()).result()
        self._connection = Connection(ours.detach())

    def send(self, message: Any) -> None:
        """Send one message; what a dead child cannot take is noticed by `receive`."""
        content = encode(message)
        with contextlib.suppress(OSError):
            self._connection.send_bytes(content)

    def receive(self, doing: str) -> Any:
        """The next message.

        Args:
            doing: What the child is at, for the error's sentence.

        Raises:
            BackendCrashError: The child ended.
            PredictionError: The message holds something that does not pass.
        """
        try:
            content = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise self._crash(doing) from self._stack()
        return decode(content)

    def kill(self) -> None:
        """End it at once; may be called from any thread."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)

    def close(self) -> None:
        """Let it end by itself, or end it."""
        self.send(Close())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self.discard()

    def discard(self) -> None:
        """End it at once and let go of the pipe; nothing may be called afterwards but `kill`."""
        self.kill()
        self._connection.close()
        self._trace.close()

    def _crash(self, doing: str) -> BackendCrashError:
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            status = None
        how = _how_it_ended(status, self._memory_limit)
        return BackendCrashError(f'the process of {self._plugin} {how} {doing}')

    def _stack(self) -> OtherProcessTraceback | None:
        self._trace.seek(0)
        text = self._trace.read(_MOST_TRACE).decode(errors='replace')
        return OtherProcessTraceback(text) if text else None


@lru_cache(maxsize=1)
def _starter(process_id: int) -> ThreadPoolExecutor:
    """A thread that stays: on Linux a child ends with the *thread* that started it. A forked process has none yet."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix='fence-starter')


def _start(pipe: int, trace: int) -> subprocess.Popen[bytes]:
    # Modules are found where this process finds them. PYTHONPATH would take effect before the interpreter is up, and
    # bring in any sitecustomize that lies on the way.
    script = 'import sys; sys.path[:] = sys.argv[4:]; from ml_plugins.runtime.fence import child; child.run(sys.argv)'
    numbers = [str(pipe), str(trace), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, '-c', script, *numbers, *(path or str(Path.cwd()) for path in sys.path)],
        pass_fds=(pipe, trace),
        stdin=subprocess.DEVNULL,
        # Ctrl-C reaches every process of a session; the server alone decides when this one ends.
        start_new_session=True,
    )


def _how_it_ended(status: int | None, limit: int) -> str:
    """The end in words.

    Args:
        status: As `subprocess` gives it: negative for a signal; None when it did not end.
        limit: The memory limit in bytes, 0 for none.
    """
    allowed = f'fence_memory = {limit / 2**20:.0f} MiB'
    if status is None:
        return 'closed its pipe and was ended'
    if status == OUT_OF_MEMORY_EXIT:
        return f'ran out of the memory that it may take ({allowed})'
    if status >= 0:
        return f'ended by itself with exit status {status}'
    number = -status
    name = signal.Signals(number).name if number in set(signal.Signals) else f'signal {number}'
    text = f'was ended by {name} ({signal.strsignal(number) or "no description"})'
    if number == signal.SIGKILL:
        return f'{text}, which is usual when the machine runs out of memory,'
    # Native code seldom says that it got no memory; it aborts or follows a null pointer.
    return f'{text}, maybe because it may take no more memory ({allowed}),' if limit else text
