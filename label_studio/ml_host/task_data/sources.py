"""Where the bytes of a task's field are: a file on this machine, or something that has to be fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Chunks = Callable[[], Iterable[bytes]]


class UnreadableError(Exception):
    """The bytes cannot be had; the message completes the sentence 'field "image" …'."""


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine's disk that the project may read."""

    path: Path


@dataclass(frozen=True)
class RemoteFile:
    """Bytes from elsewhere.

    Attributes:
        key: Names the content in the cache; two projects with different credentials never share a key.
        suffix: The file name's ending, kept because libraries go by it.
        chunks: Starts the transfer. May raise `UnreadableError`, also while it is being read.
        keep: Whether reading it leaves a copy in the cache. A path always needs one.
    """

    key: str
    suffix: str
    chunks: Chunks
    keep: bool = True


Source = LocalFile | RemoteFile


def limited(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Pass chunks on until they are more than ``limit`` bytes. Raises `UnreadableError` then."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise too_large(limit)
        yield chunk


def too_large(limit: int) -> UnreadableError:
    """The error for a file over the size limit."""
    return UnreadableError(f'is larger than {limit / 1024**2:.4g} MiB, the limit for one file')


def suffix_of(name: str) -> str:
    """The ending of a file name when it is a plain one, else nothing."""
    suffix = Path(name).suffix.lower()
    return suffix if len(suffix) <= 8 and suffix[1:].isascii() and suffix[1:].isalnum() else ''
