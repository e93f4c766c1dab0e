"""What was spent, counted and kept in a file that several processes write to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

FILE = 'spending.jsonl'


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens."""

    input: float
    output: float

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """What a request cost."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


def _today() -> str:
    return datetime.now(timezone.utc).strftime('%Y-%m-%d')


class Ledger:
    """Sums of a day and of all days, over all processes of the project that share the folder.

    Each request is a line that is appended at once, so nothing is lost with a process and no lock is needed.

    Args:
        folder: Kept between processes; None to count in memory alone.
    """

    def __init__(self, folder: Path | None, today: Callable[[], str] = _today) -> None:
        self._path = folder / FILE if folder else None
        self._today = today
        self._read_to = 0
        self._days: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, cost: float, input_tokens: int, output_tokens: int) -> None:
        """Count a request."""
        line = {'day': self._today(), 'cost': cost, 'input_tokens': input_tokens, 'output_tokens': output_tokens}
        with self._lock:
            if self._path is None:
                self._count(line)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open('ab') as file:
                file.write(json.dumps(line).encode() + b'\n')

    @property
    def today(self) -> float:
        """Dollars of this day, in UTC."""
        with self._lock:
            self._catch_up()
            return self._days.get(self._today(), 0.0)

    @property
    def total(self) -> float:
        """Dollars of all days."""
        with self._lock:
            self._catch_up()
            return sum(self._days.values())

    def _catch_up(self) -> None:
        """Read what was appended since."""
        if self._path is None or not self._path.exists():
            return
        with self._path.open('rb') as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b'\n'):
                    # Another process is in the middle of it.
                    break
                self._read_to += len(line)
                try:
                    self._count(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    # Half a line of a process that was killed; what it cost is not known any more.
                    continue

    def _count(self, line: dict) -> None:
        self._days[line['day']] = self._days.get(line['day'], 0.0) + float(line['cost'])
