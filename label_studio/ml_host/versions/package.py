"""A version as one zip file: what it is, the manifest, and its files; written while it is being sent."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.versions.files import version_files
from label_studio.ml_host.versions.manifest import FILES, MANIFEST
from ml_plugins.exceptions import MLPluginError
from ml_plugins.registry import registry

ABOUT = 'version.json'
FORMAT = 1
_CHUNK = 1 << 20
# The same version gives the same bytes, whenever it is downloaded.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Download:
    """A file to send.

    Attributes:
        name: Suggested file name.
        content: Its bytes, piece by piece.
    """

    name: str
    content: Iterator[bytes]


def download(version: ModelVersion) -> Download:
    """A version as a file for `uploading.upload`, here or on another server.

    Raises:
        ModelVersionError: Its files are damaged.
    """
    # Looked at before the first byte is sent; afterwards there is no way to say what is wrong.
    files = version_files(version).path
    return Download(f'{version.label}.zip', _zipped(files, json.dumps(_about(version), indent=1).encode()))


def _about(version: ModelVersion) -> dict[str, Any]:
    return {
        'format': FORMAT,
        'backend': version.backend,
        'package': _package(version.backend),
        'number': version.number,
        'digest': version.digest,
        'label_config': version.label_config or version.project.label_config,
        'trained_on': version.trained_on,
        'params': version.params,
        'metrics': version.metrics,
        'created_at': version.created_at.isoformat(),
    }


def _package(backend: str) -> str:
    try:
        candidate = registry.get(backend).candidate
    except MLPluginError:
        return ''
    return f'{candidate.distribution} {candidate.version}'.strip()


def _zipped(files: Path, about: bytes) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, 'w', zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(ABOUT), about)
        archive.writestr(_entry(MANIFEST), (files.parent / MANIFEST).read_bytes())
        yield sink.take()
        for name in json.loads((files.parent / MANIFEST).read_bytes()):
            with (
                (files / name).open('rb') as source,
                archive.open(_entry(f'{FILES}/{name}'), 'w', force_zip64=True) as target,
            ):
                while block := source.read(_CHUNK):
                    target.write(block)
                    yield sink.take()
    yield sink.take()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    return entry


class _Sink(io.RawIOBase):
    """Takes what is written to it until somebody takes it away; cannot go back, like a connection."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b''.join(pieces)
