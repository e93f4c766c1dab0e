"""Keep a model busy: read tasks, load their files, hand them in, and give the answers back in order."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from label_studio.ml_host.prelabeling.client import Answer, ModelClient
from label_studio.ml_host.prelabeling.courtesy import give_way
from label_studio.ml_host.prelabeling.loader import LoadingFiles
from label_studio.ml_host.prelabeling.reader import Row, ShardReader
from label_studio.ml_host.task_data.resolver import task_from_data
from ml_plugins.types import Task

# Work handed in ahead of its answers: never fewer than two batches, or the model would wait for us between them.
SECONDS_AHEAD = 0.4
# A quick model would otherwise compute long after people have come.
MOST_AHEAD = 256
# Rows that are read at once, between two looks whether somebody waits.
FEWEST_READ, MOST_READ = 32, 128


@dataclass
class Piece:
    """Tasks of one request to the runtime.

    Attributes:
        skipped: Tasks left out before them.
        last_id: With this piece everything up to here is dealt with.
        future: Their answers, once they are handed in.
    """

    tasks: Sequence[Task]
    skipped: int
    last_id: int
    future: Future | None = None


class Pipeline:
    """Answers of a shard's tasks, in the order of the tasks.

    A piece is at most one batch of the model, so that a batch that hangs takes no other tasks with it.

    Args:
        size: Tasks of a piece.
        width: Pieces that may be with the model; None to find out.
    """

    def __init__(
        self, reader: ShardReader, files: LoadingFiles, client: ModelClient, size: int, width: int | None = None
    ) -> None:
        self._reader = reader
        self._files = files
        self._client = client
        self._size = size
        self._most = max(2, MOST_AHEAD // size)
        self._is_fixed = width is not None
        self._width = width or 2
        self._ready: deque[Piece] = deque()
        self._sent: deque[Piece] = deque()
        self._is_read = False
        self._drains = False
        self._answered_at = time.monotonic()
        self._seconds = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every task of the shard has been given out with its answer."""
        return self._is_read and not self._ready and not self._sent

    def drain(self) -> None:
        """Hand nothing more in; `next` gives what is with the model, then None."""
        self._drains = True

    def next(self) -> tuple[Piece, Sequence[Answer]] | None:
        """The next piece with its answers; None at the end."""
        self._fill()
        if not self._sent:
            return None
        piece = self._sent.popleft()
        answers = self._client.answers(piece.tasks, piece.future) if piece.future is not None else ()
        self._files.free(piece.tasks)
        self._measure()
        return piece, answers

    def close(self) -> None:
        """Withdraw what is with the model."""
        for piece in self._sent:
            if piece.future is not None:
                piece.future.cancel()

    def _fill(self) -> None:
        if self._drains:
            return
        while not self._is_read and len(self._sent) + len(self._ready) < 2 * self._width:
            self._read()
        while self._ready and len(self._sent) < self._width:
            piece = self._ready[0]
            if piece.tasks:
                piece.future = self._client.submit(piece.tasks, may_wait=not self._sent)
                if piece.future is None:
                    return
            self._sent.append(self._ready.popleft())

    def _read(self) -> None:
        give_way()
        size = min(MOST_READ, max(FEWEST_READ, self._size * self._width))
        batch = self._reader.next(size // self._size * self._size or self._size)
        if batch is None:
            self._is_read = True
            return
        skipped = batch.skipped
        for start in range(0, max(1, len(batch.rows)), self._size):
            rows = batch.rows[start : start + self._size]
            is_last = start + self._size >= len(batch.rows)
            piece = Piece([self._task(row) for row in rows], skipped, batch.last_id if is_last else rows[-1].id)
            self._files.load_ahead(piece.tasks)
            self._ready.append(piece)
            skipped = 0
            give_way()

    def _task(self, row: Row) -> Task:
        return task_from_data(row.id, row.data, self._files, row.meta)

    def _measure(self) -> None:
        now = time.monotonic()
        seconds, self._answered_at = now - self._answered_at, now
        self._seconds = seconds if not self._seconds else 0.8 * self._seconds + 0.2 * seconds
        if not self._is_fixed:
            self._width = min(self._most, max(2, math.ceil(SECONDS_AHEAD / max(self._seconds, 1e-4))))
