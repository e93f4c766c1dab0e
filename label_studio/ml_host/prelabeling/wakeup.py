"""Tell this process's background threads that there is something to do, instead of letting them find it later."""

from __future__ import annotations

import threading


class Bell:
    """Wakes every thread that waits; a ring while nobody waits is heard by whoever comes next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it rang; remember it before looking for work, and wait for more than that afterwards."""
        return self._rings

    def ring(self) -> None:
        """Wake everybody."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    def wait(self, heard: int, seconds: float) -> None:
        """Return when it rang more than `heard` times, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings > heard, seconds)


# Rings when runs start, resume, end or are cancelled in this process.
work = Bell()
