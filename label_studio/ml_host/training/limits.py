"""Watch a training process from outside, and end it when it takes more than it may."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY = 0.5
# The process ends itself when its time is over; native code that does not let it is ended this much later, in seconds.
TIMEOUT_GRACE = 10.0


class Guard(threading.Thread):
    """Looks at one process and its children until it is stopped.

    Args:
        pid: The training process.
        kill: Ends it.
        memory: Bytes that all of them may take together; 0 for no limit.
        seconds: How long it may take.

    Attributes:
        exceeded: What was exceeded, in a sentence; empty as long as nothing was.
    """

    def __init__(self, pid: int, kill: Callable[[], None], memory: int, seconds: float) -> None:
        super().__init__(name=f'guard-{pid}', daemon=True)
        self.exceeded = ''
        self.pid = pid
        self._kill = kill
        self._memory = memory
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds + TIMEOUT_GRACE
        self._over = threading.Event()

    def run(self) -> None:
        """The thread's life."""
        while not self._over.wait(LOOK_EVERY):
            self.exceeded = self._look()
            if self.exceeded and not self._over.is_set():
                self._kill()
                return

    def stop(self) -> None:
        """The process has ended."""
        self._over.set()
        self.join()

    def _look(self) -> str:
        used = tree_bytes(self.pid) if self._memory else 0
        if used > self._memory:
            return (
                f'The training took {_gibibytes(used)} of memory, and ML_TRAINING_MEMORY allows '
                f'{_gibibytes(self._memory)}; it was ended. Try a smaller batch or a smaller model, or raise the limit.'
            )
        return timeout_sentence(self._seconds) if time.monotonic() > self._ends_at else ''


def timeout_sentence(seconds: float) -> str:
    """What is said of a training that took too long."""
    return f'The training took longer than the {seconds:g} seconds of ML_TRAINING_TIMEOUT and was ended.'


def tree_bytes(pid: int) -> int:
    """Memory in RAM of a process and everything that it started; 0 where there is no /proc."""
    children: dict[int, list[int]] = defaultdict(list)
    pages: dict[int, int] = {}
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            # The name in parentheses may hold anything.
            fields = (folder / 'stat').read_text(errors='replace').rpartition(')')[2].split()
            number = int(folder.name)
            children[int(fields[1])].append(number)
            pages[number] = int(fields[21])
        except (OSError, IndexError, ValueError):
            # It ended meanwhile.
            continue
    total, left = 0, [pid]
    while left:
        number = left.pop()
        total += pages.get(number, 0)
        left += children.pop(number, [])
    return total * os.sysconf('SC_PAGE_SIZE') if total else 0


def _gibibytes(count: int) -> str:
    return f'{count / 2**30:.2f} GiB'
