"""Choices about whole tasks: which controls are served, and what annotators chose."""

from __future__ import annotations

from collections.abc import Sequence

from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.types import Example


def served_choices(label_config: LabelConfig, objects: Sequence[str]) -> tuple[Control, ...]:
    """Choices about a whole object of one of these kinds, one for each name.

    Raises:
        LabelConfigError: There is none.
    """
    found: dict[str, Control] = {}
    of_regions = False
    wanted = [name.lower() for name in objects]
    for control in label_config.controls('Choices'):
        if control.object_tag.lower() not in wanted:
            continue
        if control.attributes.get('perRegion', 'false').lower() == 'true':
            of_regions = True
        elif control.labels:
            found.setdefault(control.name, control)
    if not found:
        has = label_config.summary() + (', with perRegion' if of_regions else '')
        tags = ' or '.join(f'<{name}>' for name in objects)
        raise LabelConfigError(f'it needs <Choices> with their <Choice> tags on {tags}, and the label config has {has}')
    return tuple(found.values())


def answer_of(example: Example, control: Control) -> tuple[str, ...] | None:
    """The labels that were chosen with a control; None where that says nothing."""
    if not example.annotations:
        return None
    given = example.annotation.labels(control.name)
    known = tuple(label for label in given if label in control.labels)
    if control.is_multiple:
        # Nothing ticked means that nothing applies, unless the control may have been hidden, or what was ticked is
        # no longer in the label config.
        hidden = any(name in control.attributes for name in ('visibleWhen', 'whenTagName'))
        return known if known or not (given or hidden) else None
    return known if len(known) == 1 else None
