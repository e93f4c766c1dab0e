"""Where the queues live: the configured Redis, or the private one that the launcher started."""

from collections.abc import Mapping
from typing import Any

# Set by the launcher for itself and its workers.
SOCKET_VARIABLE = 'LABEL_STUDIO_ML_REDIS_SOCKET'
URL_VARIABLES = ('RQ_REDIS_URL', 'REDIS_URL')
HOST_VARIABLES = ('RQ_REDIS_HOST', 'REDIS_HOST')


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        value = environ.get(f'LABEL_STUDIO_{name}') or environ.get(name)
        if value:
            return value
    return ''


def redis_is_configured(environ: Mapping[str, str]) -> bool:
    """Whether the person who runs the server named a Redis of their own."""
    return bool(_first(environ, URL_VARIABLES) or _first(environ, HOST_VARIABLES))


def queue_connection(environ: Mapping[str, str]) -> dict[str, Any]:
    """Connection part of one ``RQ_QUEUES`` entry.

    Args:
        environ: Environment variables; ``LABEL_STUDIO_`` may stand before each name, as in upstream.

    Returns:
        A URL, a unix socket, or host and port, in django-rq's words.
    """
    url = _first(environ, URL_VARIABLES)
    if url:
        return {'URL': url}
    host = _first(environ, HOST_VARIABLES)
    if host:
        connection: dict[str, Any] = {
            'HOST': host,
            'PORT': int(_first(environ, ('RQ_REDIS_PORT', 'REDIS_PORT')) or 6379),
            'DB': int(_first(environ, ('RQ_REDIS_DB', 'REDIS_DB')) or 0),
        }
        if password := _first(environ, ('RQ_REDIS_PASSWORD', 'REDIS_PASSWORD')):
            connection['PASSWORD'] = password
        return connection
    if socket := environ.get(SOCKET_VARIABLE):
        return {'UNIX_SOCKET_PATH': socket, 'DB': 0}
    return {'HOST': 'localhost', 'PORT': 6379, 'DB': 0}
