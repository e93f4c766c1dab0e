"""Read a request's body into items: one object or a list, as JSON or as a form with files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from label_studio.ml_host.serving.service import fields
from label_studio.ml_host.serving.service.errors import BodyTooLargeError, ServiceError
from ml_plugins.label_config import LabelConfig


@dataclass(frozen=True)
class Item:
    """One thing to predict.

    Attributes:
        data: Task data, by the label config's names.
        contents: Uploaded bytes by field; the data holds the file's name there.
    """

    data: dict[str, Any]
    contents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """What was sent; a single object is answered by a single object."""

    items: tuple[Item, ...]
    is_single: bool


def check_size(length: str | None) -> None:
    """Refuse a body over the limit before it is read. Raises `BodyTooLargeError`."""
    limit = settings.ML_PREDICT_MAX_BYTES
    if length and length.isdigit() and int(length) > limit:
        raise BodyTooLargeError(
            f'The body has {int(length):,} bytes; the limit is {limit:,}. Send fewer items, or addresses instead of '
            "contents; the server's setting is ML_PREDICT_MAX_BYTES."
        )


def from_json(content: Any, config: LabelConfig) -> Body:
    """Items of a JSON body: an object, a list of them, or ``{"tasks": [...]}``; each bare or ``{"data": {...}}``.

    Raises:
        ServiceError: Names the item and what is wrong with it.
    """
    if isinstance(content, Mapping) and isinstance(content.get('tasks'), list) and 'tasks' not in _names(config):
        content = content['tasks']
    if isinstance(content, Mapping):
        return Body((Item(_item(content, config)),), True)
    if not isinstance(content, list):
        raise ServiceError(f'The body must be a JSON object or a list of objects, not {_kind(content)}.')
    _check_count(len(content))
    items = []
    for index, sent in enumerate(content):
        try:
            items.append(Item(_item(sent, config)))
        except ServiceError as error:
            raise ServiceError(f'Item {index}: {error}') from error
    return Body(tuple(items), False)


def from_form(form: Mapping[str, Any], files: Any, config: LabelConfig) -> Body:
    """Items of a multipart form: its files, several under one name being several items, and its text fields.

    Raises:
        ServiceError: A file cannot be put onto the label config, or the counts of files differ.
    """
    uploads = {fields.file_field(name, config): files.getlist(name) for name in files}
    texts = {name: form[name] for name in form}
    if not uploads:
        return Body((Item(fields.task_data(texts, config)),), True)
    counts = {len(found) for found in uploads.values()}
    if len(counts) > 1:
        raise ServiceError('Each file field must hold the same number of files, one an item.')
    count = counts.pop()
    _check_count(count)
    items = []
    for index in range(count):
        own = {key: found[index] for key, found in uploads.items()}
        data = fields.task_data(texts | {key: file.name for key, file in own.items()}, config)
        items.append(Item(data, {key: file.read() for key, file in own.items()}))
    return Body(tuple(items), count == 1)


def _item(sent: Any, config: LabelConfig) -> dict[str, Any]:
    if isinstance(sent, Mapping) and isinstance(sent.get('data'), Mapping) and 'data' not in _names(config):
        sent = sent['data']
    if not isinstance(sent, Mapping):
        raise ServiceError(f'It must be an object with the fields of the label config, not {_kind(sent)}.')
    return fields.task_data(sent, config)


def _names(config: LabelConfig) -> dict[str, str]:
    return fields.objects_of(config)


def _check_count(count: int) -> None:
    limit = settings.ML_PREDICT_MAX_ITEMS
    if count == 0:
        raise ServiceError('The list is empty; send at least one item.')
    if count > limit:
        raise ServiceError(f'The list has {count} items; the limit is {limit} (setting ML_PREDICT_MAX_ITEMS).')


def _kind(value: Any) -> str:
    return (
        {None: 'null', True: 'true', False: 'false'}.get(value)
        if value is None or isinstance(value, bool)
        else (f'a {type(value).__name__}')
    )
