"""People go first: background threads pause while somebody waits for an answer of this process.

All threads of a process share one interpreter lock. A request gives it up at each SQL statement, some forty times, and
a background thread that computes would keep it for milliseconds each time. So background threads ask at short intervals
whether somebody waits, and sleep until nobody does, as far as their own work still goes on.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ml_plugins.runtime.niceness import be_nice

# Pages that ask again and again how far something is; nobody waits for them.
_POLLS = re.compile(r'/ml-backends/|/prelabel/?$|/metrics|/health/?$')
# Background threads get at least a tenth of the time, however many people work.
SHARE_GIVEN = 9.0
LONGEST_PAUSE = 0.25
LONGEST_PAUSE_BEFORE_WRITING = 0.5
NICENESS = 10


class Courtesy:
    """Counts who waits, and lets background threads wait for them."""

    def __init__(self) -> None:
        self._people = 0
        self._changed = threading.Condition()
        self._own = threading.local()

    @property
    def people(self) -> int:
        """Requests that are being answered."""
        return self._people

    @contextlib.contextmanager
    def someone_waits(self) -> Iterator[None]:
        """Somebody waits while this lasts."""
        with self._changed:
            self._people += 1
        try:
            yield
        finally:
            with self._changed:
                self._people -= 1
                if not self._people:
                    self._changed.notify_all()

    def give_way(self) -> float:
        """Pause while somebody waits, at most `SHARE_GIVEN` times as long as this thread worked since the last pause.

        Returns:
            Seconds paused.
        """
        if not self._people:
            return 0.0
        now = time.monotonic()
        worked = now - getattr(self._own, 'since', now)
        return self._pause(min(LONGEST_PAUSE, worked * SHARE_GIVEN))

    def give_way_before_writing(self) -> float:
        """Pause until nobody waits, longer than `give_way` does: most requests write, and would wait for the lock.

        Returns:
            Seconds paused.
        """
        return self._pause(LONGEST_PAUSE_BEFORE_WRITING) if self._people else 0.0

    def _pause(self, seconds: float) -> float:
        started = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: not self._people, seconds)
        self._own.since = time.monotonic()
        return self._own.since - started


_courtesy = Courtesy()
give_way = _courtesy.give_way
give_way_before_writing = _courtesy.give_way_before_writing
someone_waits = _courtesy.someone_waits


def polite(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application whose requests go before background work, except pages that only ask for progress."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get('REQUEST_METHOD') == 'GET' and _POLLS.search(environ.get('PATH_INFO', '')):
            return application(environ, start_response)
        with _courtesy.someone_waits():
            return application(environ, start_response)

    return answer


def be_humble() -> None:
    """Let the operating system prefer every other thread to this one."""
    be_nice(NICENESS)
