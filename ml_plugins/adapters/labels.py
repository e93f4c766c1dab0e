"""A model's names for labels and those of the label config."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from ml_plugins.exceptions import LabelConfigError, ParameterError
from ml_plugins.label_config import Control
from ml_plugins.notices import notice

_BETWEEN_WORDS = re.compile(r'[\s_-]+')
# Names that are listed in a message.
_MOST_NAMES = 8
_CLOSE = 0.5


def parse_label_map(text: str) -> dict[str, str]:
    """A label map as it is typed: ``automobile = Car; lorry = Truck``, one pair a line, or a JSON object.

    Raises:
        ParameterError: Names the part that is no pair.
    """
    text = text.strip()
    if text.startswith('{'):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ParameterError(f'parameter "label_map": it is not valid JSON: {error}') from error
        if not all(isinstance(label, str) for label in found.values()):
            raise ParameterError('parameter "label_map": each label of the JSON object must be a text')
        return dict(found)
    pairs = {}
    for part in filter(str.strip, re.split(r'[;\n]', text)):
        name, equals, label = part.partition('=')
        if not (equals and name.strip() and label.strip()):
            raise ParameterError(
                f'parameter "label_map": {part.strip()!r} is no pair; write "label of the model = label", with ";" '
                'between pairs'
            )
        pairs[name.strip()] = label.strip()
    return pairs


class LabelMatcher:
    """Finds the label of a control that a model means; what has none is reported once.

    A name is looked up in the label map, then among the ``predicted_values`` of the label config, then among its
    labels, and then in all of them without regard to case, spaces, ``_`` and ``-``.

    Args:
        label_map: Labels by the model's names.

    Raises:
        LabelConfigError: The label map names a label that the control does not have.
    """

    def __init__(self, control: Control, label_map: Mapping[str, str] | None = None) -> None:
        self.control = control
        label_map = label_map or {}
        for name, label in label_map.items():
            if control.labels and label not in control.labels:
                raise LabelConfigError(
                    f'label_map maps "{name}" to "{label}", and {self._place()} has no such label; it has '
                    f'{_listed(control.labels)}'
                )
        predicted = {name: label for label, names in control.predicted_values.items() for name in names}
        self._exact = {**{label: label for label in control.labels}, **predicted, **label_map}
        self._loose = {_fold(name): label for name, label in reversed(self._exact.items())}
        self._reported: set[str] = set()

    def match(self, name: str) -> str | None:
        """The control's label, or None; a control without labels, such as one with dynamic choices, takes any."""
        if not self.control.labels:
            return name
        return self._exact.get(name) or self._loose.get(_fold(name))

    def match_or_report(self, name: str) -> str | None:
        """The same; a name without a label is logged, once, with what it may mean."""
        label = self.match(name)
        if label is None and name not in self._reported:
            self._reported.add(name)
            notice(f'{self.unknown(name)}; what it finds under that name is left out')
        return label

    def unknown(self, name: str) -> str:
        """A sentence about a name without a label, with what to do."""
        return (
            f'the model says "{name}", and {self._place()} has no such label; it has {_listed(self.control.labels)}. '
            f'{self._advice([name])}'
        )

    def check(self, names: Iterable[str]) -> None:
        """Look at all names of a model: refuse it when none has a label, report those without one.

        Raises:
            LabelConfigError: Proposes a mapping.
        """
        names = [str(name) for name in names]
        missing = [name for name in names if self.match(name) is None]
        if not missing:
            return
        if len(missing) == len(names):
            raise LabelConfigError(
                f'no label of the model ({_listed(names)}) is one of {self._place()} '
                f'({_listed(self.control.labels)}). {self._advice(missing)}'
            )
        self._reported.update(missing)
        notice(
            f'{len(missing)} of {len(names)} labels of the model are not in {self._place()} and are left out: '
            f'{_listed(missing)}. {self._advice(missing)}'
        )

    def _place(self) -> str:
        return f'<{self.control.tag} name="{self.control.name}">'

    def _advice(self, names: Sequence[str]) -> str:
        """How to map; with the closest labels where some are close."""
        pairs = [f'{name} = {label}' for name in names[:_MOST_NAMES] if (label := self._closest(name))]
        example = '; '.join(pairs) or f'{names[0]} = {self.control.labels[0]}'
        kind = 'Proposed' if pairs else 'For example'
        child = 'Choice' if self.control.type == 'choices' else 'Label'
        return (
            f'{kind}: set the parameter label_map to "{example}", or add predicted_values="{names[0]}" to the '
            f'<{child}> that is meant'
        )

    def _closest(self, name: str) -> str:
        found = get_close_matches(_fold(name), list(self._loose), 1, _CLOSE)
        return self._loose[found[0]] if found else ''


def _fold(name: str) -> str:
    return _BETWEEN_WORDS.sub(' ', name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f' and {len(names) - _MOST_NAMES} more' if len(names) > _MOST_NAMES else ''
    return ', '.join(f'"{name}"' for name in names[:_MOST_NAMES]) + more
