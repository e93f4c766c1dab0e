"""What was just looked up, for a second or two: callers and targets of one request after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar('Value')


class Recent(Generic[Value]):
    """Values by key that are looked up anew after some seconds; a lookup that raises is not kept."""

    def __init__(self, seconds: float, most: int = 1000) -> None:
        self._seconds = seconds
        self._most = most
        self._found: dict[Hashable, tuple[float, Value]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, look_up: Callable[[], Value]) -> Value:
        """The value of a key, at most so many seconds old."""
        kept = self._found.get(key)
        now = time.monotonic()
        if kept is not None and kept[0] > now:
            return kept[1]
        value = look_up()
        with self._lock:
            if len(self._found) >= self._most:
                self._found.clear()
            self._found[key] = (now + self._seconds, value)
        return value

    def forget(self, *_: object, **__: object) -> None:
        """Look everything up anew; takes whatever a signal sends."""
        with self._lock:
            self._found.clear()
