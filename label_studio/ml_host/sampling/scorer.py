"""Have scores computed in a process of its own, which stays for a while and is ended when it takes too long."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from label_studio.ml_host.sampling.computing import Computed, Order
from ml_plugins.exceptions import StrategyError

logger = logging.getLogger(__name__)

# A process that nothing was asked of for so long is ended.
IDLE_SECONDS = 120.0
# How long a process may take to come up.
START_SECONDS = 60.0
# How often somebody who waits asks whether it is still wanted.
_LOOK_SECONDS = 0.5
_SCRIPT = (
    'import sys; sys.path[:] = sys.argv[2:]; from label_studio.ml_host.sampling import child; '
    'child.run(int(sys.argv[1]))'
)


class NotWantedError(Exception):
    """Whoever waited for the scores does not want them any more."""


class Scorer:
    """The process; used by one thread at a time, which should be one that lives on: on Linux it ends with that."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._used_at = 0.0

    def compute(self, order: Order, seconds: float, is_wanted: Callable[[], bool] = lambda: True) -> Computed:
        """What the strategy says.

        Args:
            seconds: It may take.
            is_wanted: Asked now and then.

        Raises:
            StrategyError: The strategy failed, took too long or ended the process; the message says so.
            NotWantedError: It is not wanted any more.
        """
        too_late = f'strategy "{order.strategy}" took more than {seconds:g} s'
        return Computed(**self.ask('computing:choose_next', order.as_json(), seconds, too_late, is_wanted))

    def ask(
        self,
        call: str,
        given: Mapping[str, Any],
        seconds: float,
        too_late: str,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> dict[str, Any]:
        """What a function of this room returns.

        Args:
            call: Its module and name, ``"module:function"``.
            given: What it takes, as JSON can carry it; so is what it returns.
            seconds: It may take.
            too_late: What is said when it takes longer.
            is_wanted: Asked now and then.

        Raises:
            StrategyError: It failed, took too long or ended the process; the message says so.
            NotWantedError: It is not wanted any more.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._used_at = time.monotonic()
        try:
            self._process.stdin.write(json.dumps({'call': call, 'given': given}) + '\n')
            self._process.stdin.flush()
        except OSError as error:
            self.close()
            raise StrategyError(f'the process that computes scores has ended: {error}') from error
        answer = self._next(seconds, too_late, is_wanted)
        self._used_at = time.monotonic()
        if 'error' in answer:
            logger.info('%s failed: %s', call, answer.get('traceback'))
            raise StrategyError(answer['error'].removeprefix('StrategyError: '))
        return answer['computed']

    def close_if_idle(self) -> None:
        """Give the memory back when nothing was asked for a while."""
        if self._process is not None and time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _start(self) -> None:
        self.close()
        # Modules are found where this process finds them.
        paths = [path or str(Path.cwd()) for path in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, '-c', _SCRIPT, str(os.getpid()), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches every process of a session; the server alone decides when this one ends.
            start_new_session=True,
        )
        self._lines = queue.Queue()
        threading.Thread(
            target=_listen, args=(self._process, self._lines), name='sampling-answers', daemon=True
        ).start()
        self._next(START_SECONDS, 'the process that computes scores did not start in time', lambda: True)

    def _next(self, seconds: float, too_late: str, is_wanted: Callable[[], bool]) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if not is_wanted():
                    self.close()
                    raise NotWantedError from None
                if time.monotonic() >= end:
                    self.close()
                    raise StrategyError(f'{too_late}; it was ended') from None
                continue
            if line is None:
                status = self._process.wait(5)
                self.close()
                raise StrategyError(f'the process that computes scores ended with status {status}')
            return json.loads(line)


def _listen(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
    process.stdout.close()
