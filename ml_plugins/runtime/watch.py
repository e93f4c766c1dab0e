"""Since when a model's thread runs code of a plugin, and whether it was given up meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from ml_plugins.runtime.batching import GivenUpError


class Watch:
    """Shared by the thread that calls the plugin and the watchdog that looks at it.

    Attributes:
        seconds: Time spent in the plugin since `restart`.
        given_up: Whether the watchdog gave up the call; it never changes back.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.given_up = False
        # Both `_since` and `given_up` change only under the lock: a call that ends is not given up, or the other way.
        self._lock = threading.Lock()
        self._since: float | None = None

    def restart(self) -> None:
        """Count the seconds anew."""
        self.seconds = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While this lasts the plugin's code runs.

        Raises:
            GivenUpError: The call was given up; whatever came of it is nobody's any more.
        """
        self._since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.seconds += time.monotonic() - (self._since or 0.0)
                self._since = None
                if self.given_up:
                    raise GivenUpError

    def give_up(self, limit: float) -> bool:
        """Give up a call that has run for `limit` seconds; True for the one that does it."""
        with self._lock:
            if self._since is None or self.given_up or time.monotonic() - self._since < limit:
                return False
            self.given_up = True
            return True
