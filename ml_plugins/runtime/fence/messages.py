"""What passes between a server and the process of a fenced backend, and how errors pass.

Messages are pickled. Towards the child any plain data may pass. From the child only what is named here is unpickled: a
plugin must neither make the server import its libraries nor run code in it.
"""

from __future__ import annotations

import builtins
import io
import pickle
import traceback as traceback_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_plugins import exceptions
from ml_plugins.exceptions import PredictionError
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure, VersionFiles

# What the child ends with when its memory limit leaves no room even for the report.
OUT_OF_MEMORY_EXIT = 212
_PLAIN = (bool, int, float, str, type(None))
_NUMPY = frozenset({'_frombuffer', '_reconstruct', 'dtype', 'ndarray', 'scalar'})


@dataclass(frozen=True)
class Setup:
    """To the child: what it is to load.

    Attributes:
        bootstrap: ``"package.module:function"`` that makes the host's plugins known.
        memory: Bytes that the model may take on top of what the process takes before; 0 for any number.
    """

    bootstrap: str
    plugin: str
    label_config: str
    params: Mapping[str, Any]
    version: VersionFiles | None
    device: str
    project_id: int | None
    cache_directory: Path | None
    memory: int


@dataclass(frozen=True)
class Ready:
    """From the child: the model is loaded, and takes so many bytes."""

    max_batch: int
    max_delay: float
    memory: int


@dataclass(frozen=True)
class Predict:
    """To the child: one batch; the tasks come without their files."""

    batch: int
    tasks: Sequence[Task]
    has_files: Sequence[bool]
    interaction: Interaction | None


@dataclass(frozen=True)
class Answers:
    """From the child: what `predict` returned."""

    items: list[Prediction | TaskFailure | None]


@dataclass(frozen=True)
class Notice:
    """From the child: what the model has to tell people."""

    text: str


@dataclass(frozen=True)
class FileRequest:
    """From the child: read, or give a path of, what a field of a task of the batch points at."""

    number: int
    batch: int
    index: int
    method: str
    key: str
    value: Any


@dataclass(frozen=True)
class FileAnswer:
    """To the child: the content or the path, or why there is none."""

    number: int
    content: bytes | Path | None
    failure: Failed | None = None


@dataclass(frozen=True)
class Failed:
    """An exception on its way: its kind, the nearest kind that both sides know, message, attributes, traceback."""

    kind: str
    module: str
    known: str
    message: str
    traceback: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Close:
    """To the child: no more work comes."""


class OtherProcessTraceback(Exception):
    """Stands as the cause of a rebuilt exception and shows what the other process wrote."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


_PASS = frozenset(
    (kind.__module__, kind.__name__)
    for kind in (Answers, Failed, FileRequest, Notice, Prediction, Ready, Region, TaskFailure)
)


def encode(message: Any) -> bytes:
    """The message as bytes."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def decode(content: bytes) -> Any:
    """A message that the child sent.

    Raises:
        PredictionError: It holds an object of a kind that does not pass.
    """
    return _Unpickler(io.BytesIO(content)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PASS or (module.partition('.')[0] == 'numpy' and name in _NUMPY):
            return super().find_class(module, name)
        raise PredictionError(
            f'predict returned an object of {module}.{name}, which does not leave the process of a fenced backend; '
            'return plain Python values and numpy arrays'
        )


def failed(error: BaseException) -> Failed:
    """An exception ready to be sent."""
    known = next(kind for kind in type(error).__mro__ if kind.__module__ in ('builtins', exceptions.__name__))
    return Failed(
        kind=type(error).__name__,
        module=type(error).__module__,
        known=known.__name__,
        message=str(error),
        traceback=''.join(traceback_module.format_exception(type(error), error, error.__traceback__)),
        attributes={name: value for name, value in vars(error).items() if isinstance(value, _PLAIN)},
    )


def rebuilt(failure: Failed) -> Exception:
    """An exception of the same name and message, and of the nearest kind that is known here."""
    known = getattr(exceptions, failure.known, None) or getattr(builtins, failure.known, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = Exception  # such as SystemExit, which must not end this process
    # Messages of some kinds are built from their arguments, which were not sent.
    members = {'__module__': failure.module, '__str__': lambda self: failure.message}
    kind = type(failure.kind, (known,), members)
    error = kind.__new__(kind, failure.message)
    vars(error).update(failure.attributes)
    error.__cause__ = OtherProcessTraceback(failure.traceback)
    return error
