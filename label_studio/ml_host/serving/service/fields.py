"""Put what a caller sends onto the fields that the label config shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from label_studio.ml_host.serving.service.errors import ServiceError
from ml_plugins.label_config import LabelConfig

# Names that say by themselves what kind of object they hold; the config's own names always come first.
_ALIASES: dict[str, tuple[str, ...]] = {
    'image': ('image', 'image_url', 'image_base64', 'img', 'picture', 'photo', 'file', 'url'),
    'text': ('text', 'content', 'document', 'file', 'url'),
    'hypertext': ('html', 'hypertext', 'text', 'file', 'url'),
    'audio': ('audio', 'audio_url', 'audio_base64', 'sound', 'file', 'url'),
    'video': ('video', 'video_url', 'video_base64', 'file', 'url'),
    'timeseries': ('timeseries', 'csv', 'series', 'file', 'url'),
}
_BASE64 = '_base64'
# Objects whose field must be the address of a file; the others may also be numbers or lists.
_ADDRESSES = frozenset({'image', 'audio', 'video', 'pdf'})


def task_data(sent: Mapping[str, Any], config: LabelConfig) -> dict[str, Any]:
    """The task data that a sent object means.

    A key of the label config is taken as it is. A field of the config that is missing is looked for under the names
    usual for its kind, e.g. ``image_url`` for an ``<Image value="$photo">``; ``…_base64`` holds the bytes themselves.

    Raises:
        ServiceError: A field is missing or has a wrong type; the message names it and what was sent.
    """
    wanted = objects_of(config)
    data = dict(sent)
    for key, kind in wanted.items():
        if key in data:
            continue
        alias = _alias(kind, data, wanted)
        if alias is None:
            raise ServiceError(_missing(key, kind, sent))
        data[key] = _content(alias, data.pop(alias))
    for key, kind in wanted.items():
        _check(key, kind, data[key])
    return data


def objects_of(config: LabelConfig) -> dict[str, str]:
    """Kind of the object, in lower case, by the data field that it shows."""
    return {control.value: control.object_tag.lower() for control in config.all_controls if control.value}


def file_field(name: str, config: LabelConfig) -> str:
    """The field of the label config that an uploaded file of this form name is for.

    Raises:
        ServiceError: None or several could be meant.
    """
    wanted = objects_of(config)
    if name in wanted:
        return name
    fitting = [key for key, kind in wanted.items() if name in _ALIASES.get(kind, ('file', kind))]
    if len(fitting) == 1:
        return fitting[0]
    raise ServiceError(f'The uploaded file stands under "{name}"; send it under {_listed(wanted)}.')


def _alias(kind: str, data: Mapping[str, Any], wanted: Mapping[str, str]) -> str | None:
    """The sent name that means an object of this kind; none when two objects could claim it."""
    if sum(other == kind for key, other in wanted.items() if key not in data) > 1:
        return None
    return next((name for name in _ALIASES.get(kind, (kind, 'url')) if name in data and name not in wanted), None)


def _content(name: str, value: Any) -> Any:
    if name.endswith(_BASE64) and isinstance(value, str) and not value.startswith('data:'):
        return f'data:application/octet-stream;base64,{value}'
    return value


def _check(key: str, kind: str, value: Any) -> None:
    if value is None or value == '':
        raise ServiceError(f'Field "{key}" is empty; it must hold {_holds(kind)}.')
    if kind in _ADDRESSES and not isinstance(value, str):
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f'{shown[:59]}…'
        raise ServiceError(f'Field "{key}" must hold {_holds(kind)}, not {shown} ({type(value).__name__}).')


def _missing(key: str, kind: str, sent: Mapping[str, Any]) -> str:
    names = ', '.join(f'"{name}"' for name in sent) or 'nothing'
    return f'Field "{key}" is missing: it must hold {_holds(kind)}. The request has {names}.'


def _holds(kind: str) -> str:
    if kind in _ADDRESSES:
        return f'the address of one {kind} file as a string, or its bytes as a base64 "data:" address'
    return 'a text' if kind in ('text', 'hypertext') else f'the data of the <{kind}> tag'


def _listed(wanted: Mapping[str, str]) -> str:
    return ' or '.join(f'"{key}"' for key in wanted) or 'a field of the label config'
