"""The server's side of `ml_plugins.sdk.host`: values in the database, calls answered in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from typing import TypeVar

from ml_plugins.sdk.host import MemoryHost, StoredValue, WebRequest, WebResponse

Result = TypeVar('Result')


def _beside_a_loop(method: Callable[..., Result]) -> Callable[..., Result]:
    """Have a class that works with asyncio wait for another thread: Django refuses to be asked in a loop's own."""

    @wraps(method)
    def asked(*args: object) -> Result:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return method(*args)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, _and_close, method, *args).result()

    return asked


def _and_close(method: Callable[..., Result], *args: object) -> Result:
    from django.db import connection

    try:
        return method(*args)
    finally:
        connection.close()


class ServerHost:
    """Implements `SdkHost`."""

    def __init__(self) -> None:
        # What is asked without a project, as when a backend is checked, has no rows.
        self._memory = MemoryHost()

    @_beside_a_loop
    def value(self, plugin: str, project_id: int | None, key: str) -> StoredValue | None:
        """The row of a key; read anew each time, since any process may have written it."""
        if project_id is None:
            return self._memory.value(plugin, None, key)
        from label_studio.ml_host.models import SdkValue
        from label_studio.ml_host.training.reading import patiently

        rows = SdkValue.objects.filter(project=project_id, backend=plugin, key=key)
        found = patiently(lambda: rows.values_list('value', 'in_training').first())
        return None if found is None else StoredValue(*found)

    @_beside_a_loop
    def store(self, plugin: str, project_id: int | None, key: str, value: StoredValue) -> None:
        """Insert or update with one statement."""
        if project_id is None:
            self._memory.store(plugin, None, key, value)
            return
        from django.utils import timezone

        from label_studio.ml_host.models import SdkValue
        from label_studio.ml_host.training.reading import patiently

        row = SdkValue(
            project_id=project_id,
            backend=plugin,
            key=key,
            value=value.value,
            in_training=value.in_training,
            updated_at=timezone.now(),
        )
        patiently(
            lambda: SdkValue.objects.bulk_create(
                [row],
                update_conflicts=True,
                unique_fields=['project', 'backend', 'key'],
                update_fields=['value', 'in_training', 'updated_at'],
            )
        )

    @_beside_a_loop
    def answer(self, project_id: int | None, request: WebRequest) -> WebResponse:
        """See `gateway.answer`."""
        from label_studio.ml_host.sdk.gateway import answer

        return answer(project_id, request)

    def own_addresses(self) -> Collection[str]:
        """The address that the server was told to have."""
        from django.conf import settings

        return [settings.HOSTNAME] if settings.HOSTNAME else []
