"""How a backend learns while people label: the settings of one project, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ml_plugins.exceptions import MLPluginError

# When a new version goes into service.
RULES = {
    'automatic': 'unless it is worse on the held-out labels',
    'better': 'only if it is better on the held-out labels',
    'manual': 'when somebody puts it there',
}
# What is learned from a task with several annotations; ground truth goes before all of them.
ANNOTATORS = {
    'majority': 'the annotation that the others agree with most',
    'newest': 'the newest annotation',
    'all': 'every annotation',
}
_TIME = re.compile(r'([01]\d|2[0-3]):[0-5]\d')


class LearningSettingsError(MLPluginError):
    """A setting that cannot be; the message names the field, the value and what is allowed."""

    code = 'bad_learning_settings'


@dataclass(frozen=True)
class LearningSettings:
    """When a backend trains by itself, on what, and what becomes of the new version.

    Attributes:
        after_labels: Train after this many new, changed or deleted labels; 0 for never.
        growth: Train when the labels grew by this share since the last training, e.g. 0.2; 0 for never.
        at: Train at this time of day in the server's time zone, as ``HH:MM``, if anything changed; empty for never.
        every_minutes: Trainings that begin by themselves are at least this far apart.
        rule: When a new version goes into service, one of `RULES`.
        annotators: What is learned from a task with several annotations, one of `ANNOTATORS`.
        refresh: Replace predictions that an older version made for unlabeled tasks.
        roll_back: Go back to the version before when people agree with the new one clearly less.
        keep: Versions that are kept besides the one in service.
    """

    after_labels: int = 10
    growth: float = 0.0
    at: str = ''
    every_minutes: float = 1.0
    rule: str = 'automatic'
    annotators: str = 'majority'
    refresh: bool = True
    roll_back: bool = False
    keep: int = 10

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> LearningSettings:
        """The settings of a `ProjectBackend.learning`, defaults filled in; what is not known any more is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    def changed(self, values: Mapping[str, Any]) -> LearningSettings:
        """These settings with some of them changed.

        Args:
            values: By name; numbers may come as text, from a form.

        Raises:
            LearningSettingsError: Names the field, the value and what is allowed.
        """
        known = {field.name: type(field.default) for field in fields(self)}
        for name in values.keys() - known.keys():
            raise LearningSettingsError(f'learning.{name}: there is no such setting; there are {", ".join(known)}')
        read = {name: _read(name, known[name], value) for name, value in values.items()}
        return type(self)(**{**asdict(self), **read})

    def stored(self) -> dict[str, Any]:
        """What differs from the defaults, for `ProjectBackend.learning`."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}


def _read(name: str, kind: type, value: Any) -> Any:
    if kind is bool:
        return _flag(name, value)
    if kind is str:
        return _text(name, str(value).strip())
    return _number(name, kind, value)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ('true', 'on', '1', 'false', 'off', '0'):
        return str(value).lower() in ('true', 'on', '1')
    raise LearningSettingsError(f'learning.{name}: {value!r} must be true or false')


def _text(name: str, value: str) -> str:
    if name == 'at' and value and not _TIME.fullmatch(value):
        raise LearningSettingsError(f'learning.at: "{value}" must be a time of day such as 02:30, or empty')
    choices = {'rule': RULES, 'annotators': ANNOTATORS}.get(name)
    if choices is not None and value not in choices:
        raise LearningSettingsError(f'learning.{name}: "{value}" must be one of {", ".join(choices)}')
    return value


_LIMITS = {'after_labels': (0, 1_000_000), 'growth': (0.0, 100.0), 'every_minutes': (0.0, 10_080.0), 'keep': (1, 1000)}


def _number(name: str, kind: type, value: Any) -> float | int:
    low, high = _LIMITS[name]
    try:
        number = kind(value)
        if isinstance(value, bool) or not low <= number <= high or number != float(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        what = 'a whole number' if kind is int else 'a number'
        raise LearningSettingsError(f'learning.{name}: {value!r} must be {what} from {low} to {high}') from None
    return number
