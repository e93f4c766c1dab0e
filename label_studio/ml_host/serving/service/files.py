"""Files of a request that is not stored: uploaded bytes, else what the project's tasks may read."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from label_studio.ml_host.task_data.resolver import HostTaskFiles, own_address
from label_studio.ml_host.task_data.sources import Source, UnreadableError, suffix_of
from ml_plugins import Task


class PublicFiles(HostTaskFiles):
    """For callers without an account: only what anybody could fetch, nothing that belongs to the project."""

    def prepare(self, data: Any) -> None:
        """Nothing of the project is looked at."""

    def source(self, value: Any) -> Source:
        """A plain web address or a ``data:`` address. Raises `UnreadableError` for everything else."""
        if not _is_public(value):
            raise UnreadableError('must be an http or https URL or a "data:" address for a caller without a token')
        return super().source(value)


class RequestFiles:
    """The files of one item; a context, at whose end temporary copies go away."""

    def __init__(self, files: HostTaskFiles, contents: Mapping[str, bytes]) -> None:
        self._files = files
        self._contents = contents
        self._folder: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> RequestFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def read(self, task: Task, key: str) -> bytes:
        """See `ml_plugins.types.TaskFiles`."""
        return self._contents[key] if key in self._contents else self._files.read(task, key)

    def path(self, task: Task, key: str) -> Path:
        """See `ml_plugins.types.TaskFiles`."""
        if key not in self._contents:
            return self._files.path(task, key)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix='ml-predict-')
        path = Path(self._folder.name) / f'{key}{suffix_of(str(task.data[key]))}'
        path.write_bytes(self._contents[key])
        return path


def _is_public(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(('http://', 'https://', 'data:')) and not own_address(value)
