"""The server's side of a backend that runs in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.exceptions import MLPluginError, TaskDataError
from ml_plugins.notices import notice
from ml_plugins.runtime import fence
from ml_plugins.runtime.fence.messages import (
    Answers,
    Failed,
    FileAnswer,
    FileRequest,
    Notice,
    Predict,
    Ready,
    Setup,
    failed,
    rebuilt,
)
from ml_plugins.runtime.fence.process import FenceProcess
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure


class FencedBackend(MLBackend):
    """Stands for a backend that lives in a child process; after a crash its owner loads a fresh one.

    `setup`, `predict` and `close` are called from one thread, `kill` from any.
    """

    def __init__(self, plugin: str, backend_class: type[MLBackend], context: BackendContext) -> None:
        # The base class would check the parameters against ours; the child checks them against the backend's.
        self.context = context
        self.label_config = context.label_config
        self.param_values = dict(context.params)
        self.version = context.version
        self.device = context.device
        self.max_batch = backend_class.max_batch
        self.max_delay = backend_class.max_delay
        self._plugin = plugin
        self._memory_limit = backend_class.fence_memory
        self._memory: int | None = None
        self._process: FenceProcess | None = None
        self._is_killed = False
        self._batch = 0

    def setup(self) -> None:
        """Start a child and have it load the model."""
        if not fence.bootstrap:
            raise MLPluginError(
                f'{self._plugin} has fence = "process", and this host does not say how a process of its own is '
                'prepared (ml_plugins.runtime.fence.bootstrap); set fence = "thread"'
            )
        self._process = FenceProcess(self._plugin, self._memory_limit)
        if self._is_killed:
            self._process.kill()
        try:
            self._process.send(self._task_of_child())
            ready = self._answer('while it loaded its model', ())
        except BaseException:
            self._process.discard()
            raise
        self.max_batch, self.max_delay, self._memory = ready.max_batch, ready.max_delay, ready.memory

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        """Have the child predict a batch.

        Raises:
            BackendCrashError: The child ended.
        """
        bare = [replace(task, files=None) for task in tasks]
        self._batch += 1
        self._process.send(Predict(self._batch, bare, [task.files is not None for task in tasks], interaction))
        return self._answer(f'while it predicted a batch of {len(tasks)}', tasks).items

    def memory_bytes(self) -> int | None:
        """What the child says that its model takes."""
        return self._memory

    def kill(self) -> None:
        """End the child now, whatever it does; the call that waits for it raises `BackendCrashError`."""
        self._is_killed = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Let the child close its model and end."""
        if self._process is not None:
            self._process.close()

    def _task_of_child(self) -> Setup:
        context = self.context
        return Setup(
            bootstrap=fence.bootstrap,
            plugin=self._plugin,
            label_config=context.label_config.xml,
            params=dict(context.params),
            version=context.version,
            device=context.device,
            project_id=context.project_id,
            cache_directory=context.cache_directory,
            memory=self._memory_limit,
        )

    def _answer(self, doing: str, tasks: Sequence[Task]) -> Any:
        """What the child says in the end; until then it may ask for files and tell people something."""
        while True:
            message = self._process.receive(doing)
            if isinstance(message, FileRequest):
                # A thread that a plugin left running may ask for a task of an earlier batch.
                own = tasks if message.batch == self._batch else ()
                self._process.send(_file_answer(message, own))
            elif isinstance(message, Notice):
                notice(str(message.text))
            elif isinstance(message, Failed):
                raise rebuilt(message)
            elif isinstance(message, (Answers, Ready)):
                return message


def _file_answer(request: FileRequest, tasks: Sequence[Task]) -> FileAnswer:
    try:
        if request.index >= len(tasks):
            raise TaskDataError(None, request.key, 'was asked for after its batch had ended')
        # The plugin may have made a task of its own from the one it was given.
        task = tasks[request.index]
        task = replace(task, data={**task.data, request.key: request.value})
        method = task.files.path if request.method == 'path' else task.files.read
        return FileAnswer(request.number, method(task, request.key))
    except Exception as error:
        return FileAnswer(request.number, None, failed(error))
