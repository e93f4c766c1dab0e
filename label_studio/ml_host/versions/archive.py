"""Read an uploaded version without trusting it: names, links, sizes and checksums are looked at first."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from label_studio.ml_host.versions.errors import UploadError, UploadTooLargeError
from label_studio.ml_host.versions.manifest import FILES, MANIFEST
from label_studio.ml_host.versions.package import ABOUT, FORMAT

MOST_FILES = 10_000
# What describes the version is read into memory.
LARGEST_DESCRIPTION = 16 * 1024**2
_CHUNK = 1 << 20
_PREFIX = f'{FILES}/'
# No backslash, colon or control character: each means something in the paths of one system or another.
_PART = re.compile(r'[^\\:\x00-\x1f\x7f]{1,200}')
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ADVICE = 'Upload the file as the download gave it.'
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@contextmanager
def opened(file: BinaryIO, largest: int) -> Iterator[Archive]:
    """The archive in a file, its directory checked.

    Args:
        largest: Bytes that it may have unpacked.

    Raises:
        UploadError: It is no archive, or there is something in it that has no place there; the message names it.
    """
    with _whole():
        archive = zipfile.ZipFile(file)
    with archive:
        with _whole():
            found = Archive(archive, largest)
        yield found


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise UploadError(f'The file is not a whole zip archive ({error}). {_ADVICE}') from error


class Archive:
    """An uploaded archive; make it with `opened`."""

    def __init__(self, archive: zipfile.ZipFile, largest: int) -> None:
        _check_entries(archive.infolist(), largest)
        self._archive = archive
        self._entries = {item.filename: item for item in archive.infolist() if not item.is_dir()}
        self.about = self._about()
        self._manifest = self._read_manifest()

    @property
    def names(self) -> list[str]:
        """Names of the version's files."""
        return list(self._manifest)

    def unpack(self, folder: Path) -> None:
        """Write the version's files into a folder, each checked against the manifest.

        Raises:
            UploadError: A file is longer than it says, or differs from its checksum.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, expected in self._manifest.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with _whole():
                digest = self._copy(self._entries[_PREFIX + name], target)
            if target.stat().st_size != expected['size'] or digest != expected['sha256']:
                raise UploadError(f'{_PREFIX}{name} does not have the checksum that {MANIFEST} says. {_ADVICE}')

    def _copy(self, entry: zipfile.ZipInfo, target: Path) -> str:
        digest, left = hashlib.sha256(), entry.file_size
        with self._archive.open(entry) as source, target.open('xb') as stream:
            while block := source.read(_CHUNK):
                left -= len(block)
                if left < 0:
                    raise UploadError(f'{entry.filename} is longer than the archive says. {_ADVICE}')
                digest.update(block)
                stream.write(block)
        return digest.hexdigest()

    def _about(self) -> dict[str, Any]:
        about = self._json(ABOUT)
        if about.get('format') != FORMAT:
            raise UploadError(f'{ABOUT}: format {about.get("format")!r} is not known; this server reads {FORMAT}.')
        for name, kind in {'backend': str, 'digest': str, 'label_config': str, 'metrics': dict, 'params': dict}.items():
            if not isinstance(about.get(name), kind):
                raise UploadError(f'{ABOUT}: "{name}" is {about.get(name)!r}, it must be a {kind.__name__}. {_ADVICE}')
        return about

    def _read_manifest(self) -> dict[str, dict[str, Any]]:
        content = self._content(MANIFEST)
        if hashlib.sha256(content).hexdigest() != self.about['digest']:
            raise UploadError(f'{MANIFEST} does not have the checksum that {ABOUT} says. {_ADVICE}')
        manifest = self._json(MANIFEST)
        for name, expected in manifest.items():
            if not isinstance(expected, dict) or set(expected) != {'sha256', 'size'} or not name:
                raise UploadError(f'{MANIFEST}: "{name}" must have a sha256 and a size. {_ADVICE}')
        files = {name.removeprefix(_PREFIX) for name in self._entries if name.startswith(_PREFIX)}
        if missing := sorted(manifest.keys() - files):
            raise UploadError(f'{_PREFIX}{missing[0]} is missing in the archive. {_ADVICE}')
        if surplus := sorted(files - manifest.keys()):
            raise UploadError(f'{_PREFIX}{surplus[0]} is not listed in {MANIFEST}. {_ADVICE}')
        return manifest

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._content(name))
        except ValueError as error:
            raise UploadError(f'{name} is not JSON: {error}. {_ADVICE}') from error
        if not isinstance(found, dict):
            raise UploadError(f'{name} must hold a JSON object. {_ADVICE}')
        return found

    def _content(self, name: str) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise UploadError(f'The archive has no {name}, so it is not a model version. {_ADVICE}')
        if entry.file_size > LARGEST_DESCRIPTION:
            raise UploadTooLargeError(f'{name} has {entry.file_size} bytes, more than {LARGEST_DESCRIPTION}.')
        with self._archive.open(entry) as source:
            return source.read(LARGEST_DESCRIPTION + 1)


def _check_entries(entries: list[zipfile.ZipInfo], largest: int) -> None:
    if len(entries) > MOST_FILES:
        raise UploadTooLargeError(f'The archive has {len(entries)} files, more than {MOST_FILES}.')
    seen: set[str] = set()
    for entry in entries:
        reason = _why_not(entry)
        if reason:
            raise UploadError(f'"{entry.filename}" in the archive {reason}. {_ADVICE}')
        if entry.filename in seen:
            raise UploadError(f'"{entry.filename}" is in the archive twice. {_ADVICE}')
        seen.add(entry.filename)
    total = sum(entry.file_size for entry in entries)
    if total > largest:
        raise UploadTooLargeError(
            f'The archive has {total} bytes unpacked, more than the {largest} of ML_VERSION_UPLOAD_BYTES.'
        )


def _why_not(entry: zipfile.ZipInfo) -> str:
    parts = entry.filename.removesuffix('/').split('/')
    if any(part in ('', '.', '..') or not _PART.fullmatch(part) for part in parts):
        return 'is not a plain path inside the archive'
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return 'is a link or a device, not a file'
    if entry.flag_bits & 0x1:
        return 'is encrypted'
    if entry.compress_type not in _METHODS:
        return 'is packed in a way that is not read here'
    if entry.is_dir():
        return '' if parts[0] == FILES else f'has no place there; only {ABOUT}, {MANIFEST} and {_PREFIX} have'
    is_known = entry.filename in (ABOUT, MANIFEST) or (parts[0] == FILES and len(parts) > 1)
    return '' if is_known else f'has no place there; only {ABOUT}, {MANIFEST} and {_PREFIX} have'
