"""Locally hosted files: the same rules as the page that shows them in the editor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from label_studio.ml_host.task_data.sources import LocalFile, UnreadableError


def storage_folders(project: Any) -> list[Path]:
    """Folders of the local-files storages that are connected to this project."""
    from label_studio.ml_host.upstream import LocalFilesImportStorage

    paths = LocalFilesImportStorage.objects.filter(project=project).values_list('path', flat=True)
    return [Path(path) for path in paths if path]


def find_local_file(relative: str, folders: Sequence[Path]) -> LocalFile:
    """The file that ``/data/local-files/?d=<relative>`` means.

    Raises:
        UnreadableError: Local files are not served, the path leaves the storages' folders, or the file is gone.
    """
    if not settings.LOCAL_FILES_SERVING_ENABLED:
        raise UnreadableError('is a locally hosted file, and LOCAL_FILES_SERVING_ENABLED is off on this server')
    if not relative or '\0' in relative:
        raise UnreadableError('names no file: the address has no path after "?d="')
    if '..' in relative.replace('\\', '/').split('/'):
        raise UnreadableError('has ".." in its path; a locally hosted file is named by its path without it')
    # As upstream does, a leading slash means the document root.
    path = Path(settings.LOCAL_FILES_DOCUMENT_ROOT) / relative.lstrip('/')
    covering = [folder for folder in folders if path.parent.is_relative_to(folder)]
    if not covering:
        raise UnreadableError('is not in a folder that a local-files storage of this project covers')
    # A link inside a shared folder must not open the rest of the disk, or another project's storage.
    if path.exists() and not any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise UnreadableError('leads through a symbolic link out of the folders that this project may read')
    return LocalFile(path)
