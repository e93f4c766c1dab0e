"""What the room needs of a server: stored values, and answers to the calls that classes of the SDK make."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class StoredValue:
    """What somebody stored with ``set``.

    Attributes:
        in_training: Stored by ``fit``: then each version that is served has its own.
    """

    value: str
    in_training: bool = False


@dataclass(frozen=True)
class WebRequest:
    """A request that a class sends to Label Studio.

    Attributes:
        target: Path and query.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b''


@dataclass(frozen=True)
class WebResponse:
    """What is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b''


class SdkHost(Protocol):
    """Implemented by the server."""

    def value(self, plugin: str, project_id: int | None, key: str) -> StoredValue | None:
        """The value of a key, as every process sees it."""
        ...

    def store(self, plugin: str, project_id: int | None, key: str, value: StoredValue) -> None:
        """Store a value for every process."""
        ...

    def answer(self, project_id: int | None, request: WebRequest) -> WebResponse:
        """Answer as the owner of the project would be answered, without a network."""
        ...

    def own_addresses(self) -> Collection[str]:
        """Addresses under which this server is known, e.g. ``http://localhost:8080``."""
        ...


class MemoryHost:
    """A server for tests: values live in memory, and every address is unknown."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, int | None, str], StoredValue] = {}
        self._lock = threading.Lock()

    def value(self, plugin: str, project_id: int | None, key: str) -> StoredValue | None:
        """See `SdkHost.value`."""
        with self._lock:
            return self._values.get((plugin, project_id, key))

    def store(self, plugin: str, project_id: int | None, key: str, value: StoredValue) -> None:
        """See `SdkHost.store`."""
        with self._lock:
            self._values[plugin, project_id, key] = value

    def answer(self, project_id: int | None, request: WebRequest) -> WebResponse:
        """See `SdkHost.answer`."""
        return WebResponse(404, {'Content-Type': 'application/json'}, b'{"detail": "There is no server in this test."}')

    def own_addresses(self) -> Collection[str]:
        """See `SdkHost.own_addresses`."""
        return ()


# The server puts itself here when it starts.
current: SdkHost = MemoryHost()
