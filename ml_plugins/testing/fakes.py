"""Stand-ins for what a host gives a backend: files, labeled tasks and a training run, without a server."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ml_plugins.exceptions import TaskDataError, TrainingCancelledError
from ml_plugins.types import Annotation, DatasetChanges, Example, Task, VersionFiles


class MemoryFiles:
    """Task files held in memory, by the value that stands in the task's field.

    Args:
        content: Bytes by field value, e.g. ``{"/data/cat.jpg": b"..."}``. A value that is not in it cannot be read.
    """

    def __init__(self, content: Mapping[str, bytes] | None = None) -> None:
        self.content = dict(content or {})
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def read(self, task: Task, key: str) -> bytes:
        """Bytes of one field. Raises `TaskDataError` for a value that is not known."""
        value = task.data.get(key)
        if not isinstance(value, str) or value not in self.content:
            raise TaskDataError(task.id, key, f'cannot be read: there is no file {value!r}')
        return self.content[value]

    def path(self, task: Task, key: str) -> Path:
        """A file with that content, kept as long as this object. Raises `TaskDataError`."""
        content = self.read(task, key)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix='memory-files-')
        value = str(task.data[key])
        target = Path(self._folder.name) / f'{abs(hash(value))}{Path(value).suffix[:10]}'
        if not target.exists():
            target.write_bytes(content)
        return target


class MemoryDataset:
    """Labeled tasks in a list; the examples themselves say which of them are held out.

    Args:
        examples: The labeled tasks.
        changes: What changed since the previous version; None as for a first one.
    """

    def __init__(self, examples: Iterable[Example], changes: DatasetChanges | None = None) -> None:
        self.examples = list(examples)
        self.changes = changes

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def train(self) -> Iterator[Example]:
        """Examples to learn from."""
        return (example for example in self.examples if not example.held_out)

    @property
    def held_out(self) -> Iterator[Example]:
        """Examples that ``fit`` must not learn from."""
        return (example for example in self.examples if example.held_out)

    def only(self, task_ids: Collection[int]) -> Iterator[Example]:
        """Examples of these tasks."""
        wanted = frozenset(task_ids)
        return (example for example in self.examples if example.task.id in wanted)


class MemoryRun:
    """A training run without a queue: keeps what ``fit`` reports.

    Args:
        directory: Where ``fit`` leaves its files; made when it is missing.
        cache_directory: Kept between runs; by default a sibling of `directory`.
        device: Given to ``fit`` as it is.
        previous: The version in service, or None.
        checkpoint_directory: Kept between attempts; by default a sibling of `directory`.
        seed: Given to ``fit`` as it is.

    Attributes:
        log_lines: What was given to `log`, in order.
        skipped: Pairs of task id and reason.
        metrics: The latest value of each metric given to `progress`.
        reports: Pairs of done and total, in order.
        stop_after: Ask for a stop after so many calls of `progress`; None for never.
    """

    def __init__(
        self,
        directory: Path | str,
        cache_directory: Path | str | None = None,
        device: str = 'cpu',
        previous: VersionFiles | None = None,
        checkpoint_directory: Path | str | None = None,
        seed: int = 0,
    ) -> None:
        self.directory = Path(directory)
        self.cache_directory = Path(cache_directory or self._beside('cache'))
        self.checkpoint_directory = Path(checkpoint_directory or self._beside('checkpoint'))
        for folder in (self.directory, self.cache_directory, self.checkpoint_directory):
            folder.mkdir(parents=True, exist_ok=True)
        self.seed = seed
        self.device = device
        self.previous = previous
        self.log_lines: list[str] = []
        self.skipped: list[tuple[int | None, str]] = []
        self.metrics: dict[str, float] = {}
        self.reports: list[tuple[int, int]] = []
        self.stop_after: int | None = None
        self._stop = threading.Event()

    def _beside(self, what: str) -> Path:
        return self.directory.with_name(f'{self.directory.name}-{what}')

    def progress(self, done: int, total: int, **metrics: float) -> None:
        """Keep the report; raises `TrainingCancelledError` once `stop` was called."""
        self.reports.append((done, total))
        self.metrics.update(metrics)
        if self.stop_after is not None and len(self.reports) >= self.stop_after:
            self.stop()
        if self._stop.is_set():
            raise TrainingCancelledError('the run was cancelled')

    def log(self, message: str) -> None:
        """Keep a line."""
        self.log_lines.append(message)

    def skip(self, task_id: int | None, reason: str) -> None:
        """Keep a task that could not be used."""
        self.skipped.append((task_id, reason))

    def should_stop(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Do what the Cancel button does."""
        self._stop.set()

    def version(self, number: int = 1, metrics: Mapping[str, float] | None = None) -> VersionFiles:
        """The run's directory as a published version, for loading it with a new instance."""
        return VersionFiles(number, self.directory, dict(metrics or {}))


def example_of(
    task: Task, result: Sequence[Mapping[str, object]], held_out: bool = False, annotation_id: int | None = None
) -> Example:
    """A labeled task with one annotation whose ``result`` is in Label Studio's format."""
    identifier = annotation_id if annotation_id is not None else (task.id or 0)
    return Example(task, (Annotation(identifier, tuple(result)),), held_out)
