"""Serve pages with waitress in this process."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

# A large import is one request body.
LARGEST_BODY = 2 * 1024**3
# Callers of the prediction service wait in these threads for their share of a batch; waiting costs nothing.
THREADS = 40


class PortError(Exception):
    """The address cannot be listened on; the message says why."""


def listen(host: str, port: int, application: Any, threads: int = THREADS) -> Any:
    """Bind the address; requests wait until `serve` runs.

    Raises:
        PortError: It cannot be bound.
    """
    from waitress.server import create_server

    try:
        return create_server(
            application,
            host=host,
            port=port,
            threads=threads,
            max_request_body_size=LARGEST_BODY,
            ident='label-studio',
        )
    except (OSError, ValueError) as error:
        what = '--internal-host' if getattr(error, 'errno', None) == errno.EADDRNOTAVAIL else '--port'
        raise PortError(f'The server cannot listen on {host}:{port}: {error}. Choose another {what}.') from error


def serve(server: Any, on_ready: Callable[[], None]) -> None:
    """Answer requests in this thread until `SystemExit` is raised in it."""
    on_ready()
    server.run()
    server.close()
