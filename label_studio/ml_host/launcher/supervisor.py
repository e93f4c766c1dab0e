"""Keep child processes running: one that ends is started again, later each time it ends quickly."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
# How often a child is asked whether it is wanted now.
WANTED_SECONDS = 2.0
# A worker asks its run to stop and hands it back within 8 s; only what is stuck is killed.
STOP_SECONDS = 14.0


@dataclass(frozen=True)
class Backoff:
    """Waiting time before a child is started again, in seconds.

    Attributes:
        first: After the first end.
        longest: Never more than that.
        healthy: A child that ran this long starts again from `first`.
    """

    first: float = 1.0
    longest: float = 60.0
    healthy: float = 60.0

    def after(self, ends: int) -> float:
        """Waiting time after so many quick ends in a row."""
        return min(self.longest, self.first * 2 ** max(0, min(ends, 32) - 1))


@dataclass
class Child:
    """One supervised process.

    Attributes:
        name: For the log.
        spawn: Starts it, in a session of its own.
        process: The running process, or None.
        ends_last: The others need it to end well.
        is_wanted: Asked before each start; it is not started while somebody else does its work.
    """

    name: str
    spawn: Callable[[], subprocess.Popen]
    process: subprocess.Popen | None = None
    started_at: float = field(default_factory=time.monotonic)
    ends: int = 0
    start_at: float = 0.0
    ends_last: bool = False
    is_wanted: Callable[[], bool] = lambda: True


class Supervisor:
    """Starts and watches children from one thread, which lives as long as the process: see `lifetime`."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='supervisor', daemon=True)

    @property
    def children(self) -> list[Child]:
        """What is supervised, in the order of starting."""
        return list(self._children)

    def add(self, child: Child) -> None:
        """Supervise a child from now on; one that runs already is taken over."""
        self._children.append(child)

    def start(self) -> None:
        """Start what does not run yet, and watch."""
        self._thread.start()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End every child: SIGTERM to all, and SIGKILL for what is still there after `timeout`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for ends_last in (False, True):
            processes = [child.process for child in self._children if child.process and child.ends_last is ends_last]
            for process in processes:
                process.terminate()
            deadline = time.monotonic() + timeout
            for process in processes:
                wait_or_kill(process, max(0.0, deadline - time.monotonic()))
        for child in self._children:
            child.process = None

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            child.ends = 1 if now - child.started_at >= self._backoff.healthy else child.ends + 1
            wait = self._backoff.after(child.ends)
            child.start_at = now + wait
            logger.warning(
                'The %s ended with status %s; it is started again in %g s', child.name, child.process.returncode, wait
            )
            child.process = None
        if child.process is None and now >= child.start_at and not self._stopping.is_set():
            if not child.is_wanted():
                child.start_at = now + WANTED_SECONDS
                return
            try:
                child.process = child.spawn()
            except OSError as error:
                child.ends += 1
                child.start_at = now + self._backoff.after(child.ends)
                logger.error('The %s cannot be started: %s', child.name, error)
                return
            child.started_at = now
            logger.info('The %s runs as process %s', child.name, child.process.pid)


def end(process: subprocess.Popen, timeout: float = STOP_SECONDS) -> None:
    """End one process that leads a session."""
    process.terminate()
    wait_or_kill(process, timeout)


def wait_or_kill(process: subprocess.Popen, timeout: float) -> None:
    """Wait for a process that was asked to end; kill it and its group when it does not."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        logger.warning('Process %s did not end in time and is killed', process.pid)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait()
