"""Load the files of the next tasks while the model is busy with the ones before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.db import connection

from label_studio.ml_host.prelabeling.courtesy import be_humble, give_way
from label_studio.ml_host.task_data.resolver import HostTaskFiles
from ml_plugins.task_data import is_reference
from ml_plugins.types import Task


class LoadingFiles:
    """A project's files, of which some lie in memory already; implements `ml_plugins.types.TaskFiles`.

    Only fields that the model has read before are loaded ahead: a model that looks at the text never waits for the
    video beside it. What is not loaded in time, or would be too much, is read when the model asks.

    Args:
        inner: Reads a file.
        threads: How many files are loaded at the same time.
        limit_bytes: Nothing more is loaded while this much is held.
    """

    def __init__(self, inner: HostTaskFiles, threads: int, limit_bytes: int) -> None:
        self.project = inner.project
        self.prepare = inner.prepare
        self._inner = inner
        self._limit = limit_bytes
        self._readers: dict[str, Callable[[Task, str], Any]] = {}
        self._loads: dict[tuple[int | None, str], Future] = {}
        self._lock = threading.Lock()
        self._held = 0
        self._pool = ThreadPoolExecutor(threads, 'prelabel-loader', initializer=be_humble)

    def read(self, task: Task, key: str) -> bytes:
        """The content that ``task.data[key]`` points at. Raises `TaskDataError`."""
        self._readers.setdefault(key, self._inner.read)
        content = self._loaded(task, key)
        return content if isinstance(content, bytes) else self._inner.read(task, key)

    def path(self, task: Task, key: str) -> Path:
        """A local path with that content. Raises `TaskDataError`."""
        self._readers.setdefault(key, self._inner.path)
        found = self._loaded(task, key)
        return found if isinstance(found, Path) else self._inner.path(task, key)

    def load_ahead(self, tasks: Iterable[Task]) -> None:
        """Start loading what the model will ask for."""
        if not self._readers:
            return
        for task in tasks:
            for key, reader in list(self._readers.items()):
                value = task.data.get(key)
                if isinstance(value, str) and is_reference(value):
                    self._loads[task.id, key] = self._pool.submit(self._load, reader, task, key)

    def free(self, tasks: Iterable[Task]) -> None:
        """Forget the files of tasks that are dealt with."""
        for task in tasks:
            for key in list(self._readers):
                load = self._loads.pop((task.id, key), None)
                if load is not None and not load.cancel():
                    load.add_done_callback(self._give_back)

    def close(self) -> None:
        """Load nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loads.clear()

    @property
    def held_bytes(self) -> int:
        """Bytes of files in memory."""
        return self._held

    def _loaded(self, task: Task, key: str) -> Any:
        load = self._loads.get((task.id, key))
        if load is None or load.cancel():
            return None
        return load.result()

    def _load(self, reader: Callable[[Task, str], Any], task: Task, key: str) -> Any:
        give_way()
        if self._held >= self._limit:
            return None
        try:
            found = reader(task, key)
        finally:
            # A few kinds of addresses are looked up in the database; this thread may be idle for long now.
            connection.close()
        if isinstance(found, bytes):
            self._count(len(found))
        return found

    def _give_back(self, load: Future) -> None:
        if load.cancelled() or load.exception() is not None:
            return
        found = load.result()
        if isinstance(found, bytes):
            self._count(-len(found))

    def _count(self, number: int) -> None:
        with self._lock:
            self._held += number
