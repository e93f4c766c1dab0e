"""The child's end of the pipe to the server."""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ml_plugins.runtime.fence.messages import OUT_OF_MEMORY_EXIT, FileAnswer, FileRequest, encode, rebuilt
from ml_plugins.types import Task


class Link:
    """The pipe to the server: a thread reads it, so that the server's end is noticed whatever the model does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked: dict[int, Future] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name='fence-pipe', daemon=True).start()

    def next(self) -> Any:
        """The next piece of work."""
        return self._inbox.get()

    def send(self, message: Any) -> None:
        """Send one message; one that cannot be pickled raises and leaves the pipe usable."""
        content = encode(message)
        with self._lock:
            self._connection.send_bytes(content)

    def ask(self, batch: int, index: int, method: str, key: str, value: Any) -> Any:
        """Have the server read a file of a task; any thread may ask. Raises what the server raised."""
        number = next(self._numbers)
        self._asked[number] = answer = Future()
        self.send(FileRequest(number, batch, index, method, key, value))
        return answer.result()

    def _read(self) -> None:
        while True:
            try:
                message = self._next_message()
            except (EOFError, OSError):
                os._exit(0)
            except MemoryError:
                # What was read of a message is lost, and with it where the next one begins.
                os._exit(OUT_OF_MEMORY_EXIT)
            if isinstance(message, FileAnswer):
                self._answer(message)
            else:
                self._inbox.put(message)

    def _next_message(self) -> Any:
        content = self._connection.recv_bytes()
        try:
            return pickle.loads(content)
        except MemoryError:
            raise
        except Exception as error:
            return error  # the batch fails with it

    def _answer(self, message: FileAnswer) -> None:
        asked = self._asked.pop(message.number)
        if message.failure is None:
            asked.set_result(message.content)
        else:
            asked.set_exception(rebuilt(message.failure))


@dataclass(frozen=True)
class FilesOfServer:
    """A task's files; the server reads them, so that no database or token is needed here."""

    link: Link
    batch: int
    index: int

    def read(self, task: Task, key: str) -> bytes:
        """See `ml_plugins.types.TaskFiles`."""
        return self.link.ask(self.batch, self.index, 'read', key, task.data.get(key))

    def path(self, task: Task, key: str) -> Path:
        """See `ml_plugins.types.TaskFiles`."""
        return self.link.ask(self.batch, self.index, 'path', key, task.data.get(key))
