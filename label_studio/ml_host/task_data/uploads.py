"""Files that people uploaded to the project, on disk or in the server's own bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings

from label_studio.ml_host.task_data.sources import LocalFile, RemoteFile, Source, UnreadableError, suffix_of

_CHUNK = 256 * 1024


def find_upload(project: Any, name: str) -> Source:
    """The upload that is stored as ``upload/<project>/<file>``.

    Raises:
        UnreadableError: It belongs to another project, leaves the upload folder, or is gone.
    """
    parts = PurePosixPath(name).parts
    if '..' in name.split('/') or '\\' in name or '\0' in name or name.startswith('/') or len(parts) < 2:
        raise UnreadableError('points outside the folder of uploads')
    if not _belongs_to(project, name, parts):
        raise UnreadableError('points at a file that was not uploaded to this project')
    from django.core.files.storage import default_storage

    try:
        path = Path(default_storage.path(name))
    except NotImplementedError:
        return RemoteFile(f'upload {name}', suffix_of(name), lambda: _stream(default_storage, name))
    folder = Path(default_storage.path('/'.join(parts[:-1])))
    if path.exists() and not path.resolve().is_relative_to(folder.resolve()):
        raise UnreadableError('points outside the folder of uploads')
    return LocalFile(path)


def _belongs_to(project: Any, name: str, parts: tuple[str, ...]) -> bool:
    # Upstream stores every upload in a folder named after its project, so the common case needs no query. Releases
    # before that folder existed are covered by the upload's row.
    if len(parts) == 3 and parts[:2] == (settings.UPLOAD_DIR, str(project.pk)):
        return True
    from label_studio.ml_host.upstream import FileUpload

    return FileUpload.objects.filter(project=project, file=name).exists()


def _stream(storage: Any, name: str) -> Iterator[bytes]:
    try:
        with storage.open(name, 'rb') as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError as error:
        raise UnreadableError('points at an upload that is no longer there') from error
    except UnreadableError:
        raise
    except Exception as error:
        # What the bucket's client says may hold its address and key; the chained error goes to the log only.
        raise UnreadableError(f'cannot be read from the storage of uploads ({type(error).__name__})') from error
