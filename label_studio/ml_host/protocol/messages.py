"""What other Label Studios send, read once into small objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from label_studio.ml_host.protocol.errors import MessageError
from ml_plugins.types import Interaction

# Numbers beyond this are no keys of a database.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class ProjectKey:
    """A project of another Label Studio.

    Attributes:
        number: Its number there.
        stamp: When it was made there, in seconds since 1970; 0 where that was not sent.
    """

    number: int
    stamp: int = 0


@dataclass(frozen=True)
class RemoteTask:
    """A task of the other Label Studio."""

    number: int | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class PredictMessage:
    """The body of ``/predict``."""

    project: ProjectKey
    label_config: str
    tasks: Sequence[RemoteTask]
    interaction: Interaction | None = None


@dataclass(frozen=True)
class SetupMessage:
    """The body of ``/setup``; what was not sent is empty."""

    project: ProjectKey
    label_config: str
    hostname: str
    access_token: str
    params: Mapping[str, Any]


def body_of(content: bytes) -> Mapping[str, Any]:
    """The object that a request carries. Raises `MessageError`."""
    try:
        body = json.loads(content or b'{}')
    except ValueError as error:
        raise MessageError(f'The body is not JSON: {error}.') from error
    if not isinstance(body, Mapping):
        raise MessageError(f'The body must be a JSON object, not {_kind(body)}.')
    return body


def project_key(value: Any) -> ProjectKey:
    """A project as ``"<number>.<time>"`` or as an object with ``id`` and ``created_at``. Raises `MessageError`."""
    if isinstance(value, Mapping):
        return ProjectKey(_number(value.get('id'), 'project.id'), _seconds(value.get('created_at')))
    number, _, stamp = str(value if value is not None else '').partition('.')
    return ProjectKey(_number(number, 'project'), int(stamp) if stamp.isdecimal() and len(stamp) < 19 else 0)


def predict_message(body: Mapping[str, Any]) -> PredictMessage:
    """The body of ``/predict``. Raises `MessageError`, naming the field."""
    tasks = body.get('tasks')
    if not isinstance(tasks, list) or not tasks:
        raise MessageError('"tasks" must be a list with at least one task.')
    params = body.get('params')
    context = params.get('context') if isinstance(params, Mapping) else None
    return PredictMessage(
        project_key(body.get('project')),
        _text(body, 'label_config'),
        tuple(_task(index, task) for index, task in enumerate(tasks)),
        _interaction(context),
    )


def setup_message(body: Mapping[str, Any]) -> SetupMessage:
    """The body of ``/setup``; ``extra_params`` stand above what the other server says of itself.

    Raises:
        MessageError: Names the field.
    """
    extra = dict(_extra(body.get('extra_params')))
    hostname = extra.pop('hostname', None) or _text(body, 'hostname')
    token = extra.pop('access_token', None) or _text(body, 'access_token')
    if not isinstance(hostname, str) or not isinstance(token, str):
        raise MessageError('"hostname" and "access_token" of extra_params must be strings.')
    return SetupMessage(project_key(body.get('project')), _text(body, 'schema'), hostname.rstrip('/'), token, extra)


def items_of(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """One object, or a list of them, under a name. Raises `MessageError`."""
    value = body.get(name)
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, Mapping) for item in items):
        raise MessageError(f'"{name}" must be an object or a list of objects.')
    return items


def number_of(item: Mapping[str, Any], name: str = 'id') -> int:
    """A number of a row. Raises `MessageError`."""
    return _number(item.get(name), name)


def _task(index: int, task: Any) -> RemoteTask:
    if not isinstance(task, Mapping) or not isinstance(task.get('data'), Mapping):
        raise MessageError(f'"tasks[{index}]" must be an object whose "data" is an object.')
    number = task.get('id')
    return RemoteTask(number if isinstance(number, int) and 0 < number <= LARGEST else None, task['data'])


def _interaction(context: Any) -> Interaction | None:
    if context is None:
        return None
    if not isinstance(context, Mapping):
        raise MessageError(f'"params.context" must be an object, not {_kind(context)}.')
    regions = context.get('result') or ()
    if not isinstance(regions, (list, tuple)) or not all(isinstance(region, Mapping) for region in regions):
        raise MessageError('"params.context.result" must be a list of regions.')
    return Interaction(regions, extra={key: value for key, value in context.items() if key != 'result'})


def _extra(value: Any) -> Mapping[str, Any]:
    """``extra_params``, an object, or an object that was written into a string, as older servers do it."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError as error:
            raise MessageError(f'"extra_params" is not JSON: {error}.') from error
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise MessageError(f'"extra_params" must be an object, not {_kind(value)}.')
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MessageError(f'"{name}" must be a string, not {_kind(value)}.')
    return (value or '').strip()


def _number(value: Any, name: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or not 0 < int(text[:20]) <= LARGEST:
        raise MessageError(f'"{name}" must name a project or a row by its number, not {text[:40]!r}.')
    return int(text)


def _seconds(value: Any) -> int:
    try:
        return max(0, int(datetime.fromisoformat(str(value).replace('Z', '+00:00')).timestamp()))
    except (ValueError, OverflowError):
        return 0


def _kind(value: Any) -> str:
    return 'null' if value is None else f'a {type(value).__name__}'
