"""What a version of an SDK backend holds beside the files of its class: values, and what `fit` returned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_plugins.exceptions import ModelVersionError
from ml_plugins.sdk.answers import plain

FILE = 'sdk.json'
# Classes store paths of the folder that they were trained in; the version lies elsewhere.
_HERE = '{model_dir}'


@dataclass(frozen=True)
class SdkState:
    """Stored with a version.

    Attributes:
        values: What ``fit`` stored with ``set``.
        train_output: What ``fit`` returned.
        label_config: The label config that it was trained with.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    train_output: Mapping[str, Any] = field(default_factory=dict)
    label_config: str = ''

    def save(self, directory: Path) -> None:
        """Write it beside the files of the class."""
        content = {'values': dict(self.values), 'train_output': plain(self.train_output)}
        moved = _replaced(content, str(directory), _HERE)
        text = json.dumps({**moved, 'label_config': self.label_config}, indent=1)
        (directory / FILE).write_text(text, encoding='utf-8')


def load_state(directory: Path) -> SdkState:
    """The state of a version.

    Raises:
        ModelVersionError: The file is missing or damaged.
    """
    path = directory / FILE
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        moved = _replaced({key: content[key] for key in ('values', 'train_output')}, _HERE, str(directory))
        return SdkState(moved['values'], moved['train_output'], str(content['label_config']))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelVersionError(f'{path} cannot be read: {error}') from error


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    return value
