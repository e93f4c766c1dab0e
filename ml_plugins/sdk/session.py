"""What one loaded instance of a class of the SDK reaches: its values, its folder, the project's files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_plugins.sdk import host
from ml_plugins.sdk.host import StoredValue
from ml_plugins.task_data import is_reference
from ml_plugins.types import Task

# Stands where a class of the SDK wants a token for this server.
TOKEN = 'in-process'

_active: ContextVar[Session | None] = ContextVar('sdk_session', default=None)
# Threads that a class starts have no context of their own; in a process that only trains it does not matter.
_of_process: Session | None = None


@dataclass
class Session:
    """The surroundings of one instance.

    Attributes:
        version_values: What ``fit`` stored when the version that is served was trained.
        directory: ``MODEL_DIR``: the version's files, or where ``fit`` leaves them.
        in_training: Whether ``fit`` is at work: what it stores belongs to the version.
        stored: What was stored meanwhile in training.
        hidden_tasks: Tasks that answers to its calls leave out, since they are held out for measuring.
        task: One of the project's tasks, which knows how files are read.
    """

    plugin: str
    project_id: int | None
    directory: Path
    extra_params: str = ''
    version_values: Mapping[str, str] = field(default_factory=dict)
    in_training: bool = False
    stored: dict[str, str] = field(default_factory=dict)
    hidden_tasks: Collection[int] = ()
    task: Task | None = None
    predict_fn: Any = None
    update_fn: Any = None
    _tasks: dict[int, Task] = field(default_factory=dict)
    _paths: set[str] = field(default_factory=set)

    def get(self, key: str) -> str | None:
        """The newest value of a key; of what training stored, the one of the version that is served."""
        if self.in_training and key in self.stored:
            return self.stored[key]
        found = host.current.value(self.plugin, self.project_id, key)
        if found is None or found.in_training:
            own = self.version_values.get(key)
            if own is not None and not self.in_training:
                return own
        return None if found is None else found.value

    def set(self, key: str, value: str) -> None:
        """Store a value; every process sees it at once.

        Raises:
            ValueError: The value is not a text, as in the SDK.
        """
        if not isinstance(value, str):
            raise ValueError(
                f'set({key!r}, {value!r}): the value is of type {type(value).__name__}, and only text is stored; '
                'use str() or json.dumps()'
            )
        if self.in_training:
            self.stored[key] = value
        wanted = StoredValue(value, self.in_training)
        # Many classes store the same at each start.
        if host.current.value(self.plugin, self.project_id, key) != wanted:
            host.current.store(self.plugin, self.project_id, key, wanted)

    def params(self) -> dict[str, Any]:
        """``extra_params``: what the project sets, else what the class stored."""
        text = self.extra_params or self.get('extra_params')
        return json.loads(text) if text else {}

    def local_path(self, url: str, task_id: int | None = None) -> str:
        """A path with the content of an address in a task's data; read by the server, so it needs no token.

        Raises:
            TaskDataError: It cannot be read, with the reason.
        """
        url = str(url)
        if url in self._paths:
            return url
        known = self._tasks.get(task_id) if task_id is not None else None
        task = known or self.task or Task(task_id, {})
        path = str(replace(task, id=task.id if task_id is None else task_id, data={'url': url}).path('url'))
        self._paths.add(path)
        return path

    def preloaded(self, task: Mapping[str, Any], value: Any, read_file: bool = True) -> Any:
        """The value with each address in it replaced by the text of the file, or by a local path."""
        if isinstance(value, Mapping):
            return {key: self.preloaded(task, item, read_file) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.preloaded(task, item, read_file) for item in value]
        if not isinstance(value, str) or not is_reference(value):
            return value
        path = self.local_path(value, task.get('id'))
        return Path(path).read_text(encoding='utf-8') if read_file else path

    def working_on(self, tasks: Collection[Task]) -> None:
        """Remember how the files of these tasks are read."""
        self._tasks = {task.id: task for task in tasks if task.id is not None}
        self._paths.clear()
        self.task = next(iter(tasks), self.task)

    @contextlib.contextmanager
    def active(self, everywhere: bool = False) -> Iterator[None]:
        """Make it the current one, in this thread or in the whole process."""
        global _of_process
        token = _active.set(self)
        before = _of_process
        if everywhere:
            _of_process = self
        try:
            yield
        finally:
            _active.reset(token)
            _of_process = before


def current() -> Session | None:
    """The session of the class that is at work in this thread, or None."""
    return _active.get() or _of_process
