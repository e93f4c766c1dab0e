"""Files of another Label Studio's tasks: its uploads, local files and cloud storages, read through that server."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, urlsplit

from label_studio.ml_host.models import RemoteProject
from label_studio.ml_host.protocol.hosts import RemoteHost, origin_of
from label_studio.ml_host.task_data.cloud import scheme_of
from label_studio.ml_host.task_data.resolver import HostTaskFiles
from label_studio.ml_host.task_data.sources import RemoteFile, Source, suffix_of


class RemoteTaskFiles(HostTaskFiles):
    """Reads the files of a remote project's tasks; nothing of this server's own disk or storages is reached."""

    def __init__(self, project: Any, remote: RemoteProject) -> None:
        super().__init__(project)
        self._remote = remote
        self._host = RemoteHost(remote)

    def prepare(self, data: Any) -> None:
        """Nothing of this server's database is needed."""

    def source(self, value: Any) -> Source:
        """Where the bytes are; see `HostTaskFiles.source`."""
        path = self._path_there(value) if isinstance(value, str) else ''
        if not path:
            return super().source(value)
        key = f'remote {self._remote.pk} {self._remote.hostname}{path}'
        return RemoteFile(key, suffix_of(urlsplit(value).path), lambda: self._host.chunks(path))

    def _path_there(self, value: str) -> str:
        """Path and query on the other server; empty for what is public or stands in the value itself."""
        if scheme_of(value):
            encoded = base64.urlsafe_b64encode(value.encode()).decode()
            return f'/projects/{self._remote.number}/resolve/?fileuri={quote(encoded)}'
        if value.startswith('/') and not value.startswith('//'):
            return value
        if value.startswith('upload/'):
            return f'/data/{value}'
        if origin_of(value) and origin_of(value) == origin_of(self._remote.hostname):
            return value[len(self._remote.hostname) :] if value.startswith(f'{self._remote.hostname}/') else ''
        return ''
