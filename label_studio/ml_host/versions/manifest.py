"""The list of a version's files with their checksums; whether a version is whole is decided by it alone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ml_plugins.exceptions import ModelVersionError, TrainingError

MANIFEST = 'manifest.json'
FILES = 'files'
# Beside the manifest, of what is in the version storage as well: its folder there.
_COPY_OF = 'remote'
_ADVICE = 'Put another version in service, or train again.'


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path) -> tuple[str, int]:
    """Write the manifest of ``folder/files`` and sync everything to disk.

    Returns:
        The manifest's checksum, and the bytes of all files.

    Raises:
        TrainingError: There is something else than plain files and folders.
    """
    listed: dict[str, dict[str, Any]] = {}
    root = folder / FILES
    for path in sorted(root.rglob('*')):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise TrainingError(f'The backend left "{name}", which is not a plain file; a version holds only those.')
        if path.is_file():
            listed[name] = {'sha256': checksum(path), 'size': path.stat().st_size}
        sync(path)
    sync(root)
    content = json.dumps(listed, indent=1, sort_keys=True).encode()
    (folder / MANIFEST).write_bytes(content)
    sync(folder / MANIFEST)
    sync(folder)
    return hashlib.sha256(content).hexdigest(), sum(item['size'] for item in listed.values())


def verify(folder: Path, digest: str, name: str) -> Path:
    """Compare a version's folder with its manifest.

    Args:
        folder: The version's folder.
        digest: Checksum of the manifest, as the database has it.
        name: The version's name, for messages.

    Returns:
        The folder with its files.

    Raises:
        ModelVersionError: Names the file that is missing or damaged.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelVersionError(
            f'Version {name}: {folder / MANIFEST} cannot be read: {error.strerror}. {_ADVICE}'
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelVersionError(f'Version {name} is damaged: {folder / MANIFEST} was changed after training. {_ADVICE}')
    for file, expected in json.loads(content).items():
        path = folder / FILES / file
        try:
            intact = path.stat().st_size == expected['size'] and checksum(path) == expected['sha256']
        except OSError as error:
            raise ModelVersionError(
                f'Version {name}: its file {file} cannot be read: {error.strerror}. {_ADVICE}'
            ) from error
        if not intact:
            raise ModelVersionError(f'Version {name} is damaged: its file {file} was changed after training. {_ADVICE}')
    return folder / FILES


def mark_copy(folder: Path, key: str) -> None:
    """Note that a folder's content is in the version storage too, or is about to be."""
    (folder / _COPY_OF).write_text(key, encoding='utf-8')


def copy_of(folder: Path) -> str | None:
    """The folder in the version storage that a local one is a copy of; None for one that is only here."""
    try:
        return (folder / _COPY_OF).read_text(encoding='utf-8')
    except OSError:
        return None


def size_of(folder: Path) -> int:
    """Bytes of a folder's files, as its manifest says; 0 for one without."""
    try:
        return sum(item['size'] for item in json.loads((folder / MANIFEST).read_bytes()).values())
    except (OSError, ValueError):
        return 0
