"""What each label means, in words: its name, and its hint where the label config has one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from ml_plugins.label_config import Control, LabelConfig

_PARTS_OF_NAMES = re.compile(r'[_\-/]+|(?<=[a-z])(?=[A-Z])')


def descriptions(label_config: LabelConfig, control: Control) -> dict[str, list[str]]:
    """Phrases by label, at least one each.

    Of ``<Choice value="..." alias="..." hint="..."/>`` the alias is what is stored; the value and the hint are what
    people read, so they say what it means. A hint may hold several phrases, with ``;`` between them.
    """
    told = _told(label_config, control.name)
    return {label: told.get(label) or [_words(label)] for label in control.labels}


def _told(label_config: LabelConfig, name: str) -> Mapping[str, list[str]]:
    found = {}
    for tag in ElementTree.fromstring(label_config.xml).iter('Choices'):
        if tag.get('name') != name:
            continue
        for choice in tag.iter('Choice'):
            value = choice.get('value', '')
            hints = [part.strip() for part in choice.get('hint', '').split(';')]
            found[choice.get('alias') or value] = list(filter(None, [_words(value), *hints]))
    return found


def _words(name: str) -> str:
    """A name as it would be said: ``product_review`` and ``productReview`` are two words."""
    return ' '.join(_PARTS_OF_NAMES.sub(' ', name).split())
