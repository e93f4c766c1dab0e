"""Objects in the project's cloud storages, read by the server with the storage's own credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from label_studio.ml_host.task_data.sources import RemoteFile, UnreadableError, suffix_of, too_large

REDIS = 'redis'


def scheme_of(value: str) -> str:
    """The cloud scheme of an address (``s3``, ``gs``, ``azure-blob``, ``redis``), or nothing."""
    scheme, separator, _ = value.partition('://')
    return scheme if separator and scheme in ('s3', 'gs', 'azure-blob', REDIS) else ''


def storages_of(project: Any, scheme: str) -> list[Any]:
    """The project's import storages for one scheme: one query, not one for each kind of storage."""
    from label_studio.ml_host.upstream import RedisImportStorage, get_storage_classes

    for storage_class in get_storage_classes('import'):
        # Upstream gives its Redis storage no scheme of its own.
        if storage_class.url_scheme == scheme or (scheme == REDIS and storage_class is RedisImportStorage):
            return list(storage_class.objects.filter(project=project))
    return []


def find_object(uri: str, storages: list[Any]) -> RemoteFile:
    """The object that ``uri`` names in the first storage that covers it.

    Raises:
        UnreadableError: No storage of the project covers it.
    """
    scheme = scheme_of(uri)
    for storage in storages:
        if scheme == REDIS and _redis_key(uri).startswith(storage.path or ''):
            return _remote(storage, uri, _redis_chunks)
        if scheme != REDIS and storage.can_resolve_url(uri):
            return _remote(storage, uri, _stream_chunks)
    place = uri.partition('://')[2].partition('/')[0]
    raise UnreadableError(f'is in {scheme}://{place}, and no storage connected to this project covers it')


def _remote(storage: Any, uri: str, chunks: Any) -> RemoteFile:
    key = f'{type(storage).__name__} {storage.pk} {uri}'
    return RemoteFile(key, suffix_of(uri), lambda: chunks(storage, uri))


def _failed(storage: Any, why: str) -> UnreadableError:
    return UnreadableError(f'cannot be read from the storage "{storage.title or storage.pk}" of this project: {why}')


def _stream_chunks(storage: Any, uri: str) -> Iterator[bytes]:
    stream = None
    try:
        stream, _, metadata = storage.get_bytes_stream(uri)
        if stream is None:
            # Upstream logs the cause and returns nothing.
            raise _failed(storage, 'the object is missing, or the credentials do not allow it; see the server log')
        limit = settings.ML_MAX_FILE_BYTES
        if (metadata.get('ContentLength') or 0) > limit:
            raise too_large(limit)
        yield from stream.iter_chunks()
    except UnreadableError:
        raise
    except Exception as error:
        raise _failed(storage, f'the transfer failed ({type(error).__name__})') from error
    finally:
        # Upstream replaces `close` on some of these objects by a method that calls itself without end.
        close = getattr(type(stream), 'close', None)
        if stream is not None and close is not None:
            close(stream)


def _redis_key(uri: str) -> str:
    return uri.partition('://')[2]


def _redis_chunks(storage: Any, uri: str) -> Iterator[bytes]:
    from redis.client import NEVER_DECODE

    key = _redis_key(uri)
    try:
        client = storage.get_client()
        if client.strlen(key) > settings.ML_MAX_FILE_BYTES:
            raise too_large(settings.ML_MAX_FILE_BYTES)
        # Upstream's client decodes answers as text; a picture is none.
        content = client.execute_command('GET', key, **{NEVER_DECODE: True})
    except UnreadableError:
        raise
    except Exception as error:
        raise _failed(storage, f'Redis gave no answer ({type(error).__name__})') from error
    if content is None:
        raise _failed(storage, 'the key does not exist')
    yield content
