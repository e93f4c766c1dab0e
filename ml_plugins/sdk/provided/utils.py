"""``label_studio_ml.utils``: the helpers that backends for the SDK import."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from ml_plugins.task_data import is_reference

DATA_UNDEFINED_NAME = '$undefined$'


def get_single_tag_keys(
    parsed_label_config: Mapping[str, Any], control_type: str, object_type: str
) -> tuple[str, str, str, list[str]]:
    """``(from_name, to_name, value, labels)`` of a label config with exactly one control on one object."""
    controls = list(parsed_label_config.items())
    assert len(controls) == 1, f'the label config has {len(controls)} control tags; this model serves one'
    from_name, info = controls[0]
    assert info['type'] == control_type, f'the control tag is <{info["type"]}>; this model serves <{control_type}>'
    assert len(info['to_name']) == len(info['inputs']) == 1, f'the control tag "{from_name}" labels several objects'
    [data] = info['inputs']
    assert data['type'] == object_type, f'the object tag is <{data["type"]}>; this model serves <{object_type}>'
    return from_name, info['to_name'][0], data['value'], info['labels']


def get_first_tag_keys(
    parsed_label_config: Mapping[str, Any], control_type: str, object_type: str
) -> tuple[str | None, Any]:
    """Name and description of the first control of a type on an object of a type, or two times None."""
    for from_name, info in parsed_label_config.items():
        if info['type'] == control_type and any(data['type'] == object_type for data in info['inputs']):
            return from_name, info
    return None, None


def is_skipped(completion: Mapping[str, Any]) -> bool:
    """Whether the only annotation of a task was skipped."""
    annotations = completion['annotations']
    if len(annotations) != 1:
        return False
    return bool(annotations[0].get('skipped') or annotations[0].get('was_cancelled'))


def get_choice(completion: Mapping[str, Any]) -> str:
    """The first choice of the first region of the first annotation."""
    return completion['annotations'][0]['result'][0]['value']['choices'][0]


def get_image_size(filepath: str) -> tuple[int, int]:
    """Width and height of a picture that is turned upright."""
    from PIL import Image, ImageOps

    with Image.open(filepath) as picture:
        return ImageOps.exif_transpose(picture).size


def get_image_local_path(url: str, *args: Any, **kwargs: Any) -> str:
    """A local path of a picture, read by the server."""
    from ml_plugins.sdk.session import current

    session = current()
    if session is None:
        raise FileNotFoundError(f'{url} can be read only while the model is at work')
    return session.local_path(url)


def match_labels(input: str, labels: Sequence[str]) -> list[str]:
    """For each line of a text the label that is most like it."""
    return [
        max(labels, key=lambda label: difflib.SequenceMatcher(None, line, label).ratio()) for line in input.splitlines()
    ]


def is_preload_needed(url: Any) -> bool:
    """Whether a value is the address of a file. A path of this machine is none: tasks do not read the server's disk."""
    return isinstance(url, str) and is_reference(url)


def label_map(tag: Any, names: Sequence[str]) -> dict[str, str]:
    """Labels of a control tag by a model's own names, those without a label left out."""
    by_name: dict[str, str] = {}
    for label, attributes in (tag.labels_attrs or {}).items():
        for value in (attributes.attr.get('predicted_values') or '').split(','):
            if value.strip():
                by_name[value.strip()] = label
    exact = {label: label for label in tag.labels}
    by_case = {label.lower(): label for label in tag.labels}
    found = {name: by_name.get(name) or exact.get(name) or by_case.get(name.lower()) for name in names}
    return {name: label for name, label in found.items() if label}


def compare_nested_structures(a: Any, b: Any, path: str = '', rel: float = 1e-4, abs: float | None = None) -> None:
    """Assert that two answers are the same up to the precision of numbers; the message names the place."""
    from math import isclose

    if isinstance(a, Mapping) and isinstance(b, Mapping):
        assert a.keys() == b.keys(), f'{path}: {sorted(a)} is not {sorted(b)}'
        for key in a:
            compare_nested_structures(a[key], b[key], f'{path}.{key}', rel, abs)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        assert len(a) == len(b), f'{path}: {len(a)} items are not {len(b)}'
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            compare_nested_structures(one, other, f'{path}[{index}]', rel, abs)
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
        assert isclose(a, b, rel_tol=rel, abs_tol=abs or 0.0), f'{path}: {a} is not {b}'
    else:
        assert a == b, f'{path}: {a!r} is not {b!r}'


class InMemoryLRUDictCache:
    """Keeps the values that were used last."""

    def __init__(self, capacity: int = 1) -> None:
        self.capacity = capacity
        self.cache: OrderedDict[Any, Any] = OrderedDict()

    def __contains__(self, item: Any) -> bool:
        return item in self.cache

    def get(self, key: Any) -> Any:
        """The value, which then is the last used one; None when it is not there."""
        if key not in self.cache:
            return None
        self.cache.move_to_end(key)
        return self.cache[key]

    def put(self, key: Any, value: Any) -> None:
        """Keep a value, and forget what was not used for longest."""
        self.cache[key] = value
        self.cache.move_to_end(key)
        while len(self.cache) > self.capacity:
            self.cache.popitem(last=False)

    def __str__(self) -> str:
        return str(dict(self.cache))
