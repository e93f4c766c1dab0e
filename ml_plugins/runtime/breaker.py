"""A circuit breaker: after repeated failures a backend rests instead of slowing down every request."""

from __future__ import annotations

import threading
import time

from ml_plugins.exceptions import CircuitOpenError


class CircuitBreaker:
    """Opens after `failures` in a row, lets one try through after `seconds`, closes on the first success."""

    def __init__(self, failures: int = 3, seconds: float = 60.0) -> None:
        self._limit = failures
        self._seconds = seconds
        self._in_a_row = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise `CircuitOpenError` while the breaker is open; one try is let through when the rest is over."""
        with self._lock:
            if self._in_a_row < self._limit:
                return
            left = self._open_until - time.monotonic()
            if left > 0:
                raise CircuitOpenError(
                    f'it failed {self._in_a_row} times in a row and rests for {left:.0f} more seconds; '
                    'reset it on the ML backends page'
                )
            self._open_until = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        """Close the breaker."""
        with self._lock:
            self._in_a_row = 0

    def failed(self) -> None:
        """Count a failure; the last allowed one opens the breaker."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._limit:
                self._open_until = time.monotonic() + self._seconds

    reset = succeeded

    @property
    def is_open(self) -> bool:
        """Whether requests are refused now."""
        with self._lock:
            return self._in_a_row >= self._limit and time.monotonic() < self._open_until

    def describe(self) -> str:
        """State in a phrase for the page; empty when all is well."""
        with self._lock:
            if self._in_a_row < self._limit:
                return ''
            left = max(0.0, self._open_until - time.monotonic())
            return f'resting after {self._in_a_row} failures in a row, {left:.0f} s left'
