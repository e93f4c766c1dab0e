"""What a task's data points at, as bytes or as a local path: the server's side of `ml_plugins.Task`."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings

from label_studio.ml_host.task_data.cache import FileCache, shared_cache
from label_studio.ml_host.task_data.cloud import find_object, scheme_of, storages_of
from label_studio.ml_host.task_data.local_files import find_local_file, storage_folders
from label_studio.ml_host.task_data.remote import remote_of
from label_studio.ml_host.task_data.sources import LocalFile, Source, UnreadableError, limited, too_large
from label_studio.ml_host.task_data.uploads import find_upload
from label_studio.ml_host.task_data.urls import data_file, shown, web_file
from ml_plugins import Task
from ml_plugins.exceptions import TaskDataError

logger = logging.getLogger(__name__)
_ADDRESS = re.compile(r'/|[A-Za-z][\w+.-]*://')
_LOCAL_FILES = '/data/local-files/'
# What upstream shows a browser in place of a cloud address.
_PROXY = re.compile(r'/tasks/\d+/resolve/')


class HostTaskFiles:
    """Reads the files of one project's tasks; implements `ml_plugins.types.TaskFiles`.

    Which storages the project has is asked once, so an object of this class serves one request or one run.
    """

    def __init__(self, project: Any) -> None:
        self.project = project
        self._storages: dict[str, list[Any]] = {}
        self._folders: list[Path] | None = None

    def prepare(self, data: Any) -> None:
        """Ask the database now for what the task will need, so that threads of a model never have to."""
        for value in data.values():
            if isinstance(value, str):
                if scheme := scheme_of(value):
                    self._storages_for(scheme)
                elif _LOCAL_FILES in value[:400]:
                    self._local_folders()

    def read(self, task: Task, key: str) -> bytes:
        """The content that ``task.data[key]`` points at. Raises `TaskDataError`."""
        return self._guarded(task, key, self._read)

    def path(self, task: Task, key: str) -> Path:
        """A local path with that content: the file itself when it is on this disk. Raises `TaskDataError`."""
        return self._guarded(task, key, self._path)

    def _guarded(self, task: Task, key: str, action: Any) -> Any:
        try:
            return action(self.source(task.data.get(key)))
        except UnreadableError as error:
            logger.info('Task %s, field "%s" %s', task.id, key, error)
            raise TaskDataError(task.id, key, str(error)) from error
        except OSError as error:
            raise TaskDataError(task.id, key, f'cannot be read: {error.strerror or type(error).__name__}') from error

    def _read(self, source: Source) -> bytes:
        limit = settings.ML_MAX_FILE_BYTES
        if isinstance(source, LocalFile):
            return _existing(source.path, limit).read_bytes()
        if not source.keep:
            return b''.join(limited(source.chunks(), limit))
        try:
            return self._cache().path(source.key, source.suffix, lambda: limited(source.chunks(), limit)).read_bytes()
        except OSError as error:
            # A full or read-only disk must not stop a model that only needs the bytes.
            logger.warning('The cache of fetched files cannot be used: %s', error)
            return b''.join(limited(source.chunks(), limit))

    def _path(self, source: Source) -> Path:
        limit = settings.ML_MAX_FILE_BYTES
        if isinstance(source, LocalFile):
            return _existing(source.path, limit)
        return self._cache().path(source.key, source.suffix, lambda: limited(source.chunks(), limit))

    def source(self, value: Any) -> Source:
        """Where the bytes are that a field's value points at. Raises `UnreadableError`."""
        if value is None or value == '':
            raise UnreadableError('is empty')
        if not isinstance(value, str):
            raise UnreadableError(f'holds a {type(value).__name__}, not the address of one file')
        if value.startswith('data:'):
            return data_file(value)
        if scheme := scheme_of(value):
            return find_object(value, self._storages_for(scheme))
        own = own_address(value)
        if own:
            return self._own_file(own)
        if value.startswith(('http://', 'https://')):
            return web_file(value)
        if _ADDRESS.match(value):
            raise UnreadableError(f'has an address of a kind that is not served: {shown_address(value)}')
        raise UnreadableError('holds text, not the address of a file')

    def _own_file(self, address: str) -> Source:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        if parts.path.startswith(_LOCAL_FILES.rstrip('/')):
            return find_local_file(query.get('d', [''])[0], self._local_folders())
        if parts.path.startswith('/tasks/'):
            return self.source(_proxied(query.get('fileuri', [''])[0]))
        if parts.path.startswith('/storage-data/uploaded'):
            return find_upload(self.project, query.get('filepath', [''])[0])
        return find_upload(self.project, unquote(parts.path).removeprefix(settings.MEDIA_URL))

    def _storages_for(self, scheme: str) -> list[Any]:
        if scheme not in self._storages:
            self._storages[scheme] = storages_of(self.project, scheme)
        return self._storages[scheme]

    def _local_folders(self) -> list[Path]:
        if self._folders is None:
            self._folders = storage_folders(self.project)
        return self._folders

    @staticmethod
    def _cache() -> FileCache:
        return shared_cache(Path(settings.ML_CACHE_DIR) / 'files', settings.ML_FILE_CACHE_BYTES)


def own_address(value: str) -> str:
    """Path and query of an address on this server, or nothing when the address is another server's."""
    upload = f'{settings.MEDIA_URL}{settings.UPLOAD_DIR}/'
    if value.startswith(f'{settings.UPLOAD_DIR}/'):
        return f'{settings.MEDIA_URL}{value}'
    prefixes = (settings.HOSTNAME, settings.FORCE_SCRIPT_NAME, '')
    for prefix in prefixes:
        rest = value.removeprefix(prefix.rstrip('/')) if prefix else value
        if rest.startswith((upload, _LOCAL_FILES.rstrip('/'), '/storage-data/uploaded')) or _PROXY.match(rest):
            return rest
    return ''


def _proxied(encoded: str) -> str:
    try:
        uri = base64.urlsafe_b64decode(encoded).decode()
    except ValueError as error:
        raise UnreadableError('is a damaged link to a cloud storage') from error
    if not scheme_of(uri):
        raise UnreadableError('is a link to something that is not in a cloud storage')
    return uri


def shown_address(value: str) -> str:
    """An address without what may be secret in it."""
    return shown(value) if '://' in value else value.partition('?')[0][:200]


def files_of_project(project: Any) -> HostTaskFiles:
    """The files of a project's tasks: this server's, or those of the other Label Studio that it stands for."""
    remote = remote_of(project.pk)
    if remote is None:
        return HostTaskFiles(project)
    from label_studio.ml_host.protocol.files import RemoteTaskFiles

    return RemoteTaskFiles(project, remote)


def plugin_task(task: Any, files: HostTaskFiles | None = None) -> Task:
    """An upstream task as plugins see it.

    Args:
        task: A row of upstream's tasks.
        files: Shared by the tasks of one request or run; made for this task when it is None.
    """
    return task_from_data(task.pk, task.data, files or files_of_project(task.project), task.meta)


def task_from_data(
    task_id: int | None, data: Mapping[str, Any], files: HostTaskFiles, meta: Mapping[str, Any] | None = None
) -> Task:
    """Task data that may not be stored at all, as plugins see it."""
    own = dict(data)
    # A file that was imported alone is stored under a placeholder until somebody looks at it.
    if settings.DATA_UNDEFINED_NAME in own:
        from label_studio.ml_host.upstream import replace_task_data_undefined_with_config_field

        replace_task_data_undefined_with_config_field(own, files.project)
    files.prepare(own)
    return Task(id=task_id, data=own, project_id=files.project.pk, meta=meta or {}, files=files)


def _existing(path: Path, limit: int) -> Path:
    if not path.is_file():
        raise UnreadableError('points at a file that is not there (any more)')
    if path.stat().st_size > limit:
        raise too_large(limit)
    return path
