"""Which label of a control a pipeline's entity stands for, and the other way round."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ml_plugins.adapters.labels import LabelMatcher, parse_label_map
from ml_plugins.label_config import Control

logger = logging.getLogger(__name__)

# What people call the entities of spaCy's pipelines, which are those of OntoNotes and, in some languages, of WikiNER.
_OTHER_NAMES: Mapping[str, Sequence[str]] = {
    'PERSON': ('PER', 'People', 'Name', 'Person name'),
    'PER': ('PERSON', 'People', 'Name', 'Person name'),
    'ORG': ('Organization', 'Organisation', 'Company', 'Institution'),
    'GPE': ('LOC', 'Location', 'Place', 'Country', 'City'),
    'LOC': ('Location', 'Place', 'GPE'),
    'FAC': ('Facility', 'Building', 'LOC', 'Location', 'Place'),
    'NORP': ('Nationality', 'MISC', 'Miscellaneous'),
    'MISC': ('Miscellaneous', 'Other'),
    'EVENT': ('MISC', 'Miscellaneous'),
    'PRODUCT': ('MISC', 'Miscellaneous'),
    'WORK_OF_ART': ('Work', 'Title', 'MISC', 'Miscellaneous'),
    'LANGUAGE': ('MISC', 'Miscellaneous'),
    'MONEY': ('Amount', 'Price', 'Currency'),
    'DATE': ('Day', 'Time'),
    'QUANTITY': ('Measurement',),
    'CARDINAL': ('Number',),
}


def meanings(control: Control, names: Sequence[str], label_map: str = '') -> dict[str, str]:
    """The control's label for each name of a pipeline that has one; the others are logged with what they may mean.

    A name is looked up in the label map, among ``predicted_values`` and labels, and then by its other names.

    Raises:
        ParameterError: The label map cannot be read.
        LabelConfigError: It names a label that is not there.
    """
    matcher = LabelMatcher(control, parse_label_map(label_map))
    found = {}
    for name in names:
        candidates = (name, *_OTHER_NAMES.get(name, ()))
        label = next((label for item in candidates if (label := matcher.match(item)) is not None), None)
        if label is not None:
            found[name] = label
    if left_out := [name for name in names if name not in found]:
        logger.info('Entities without a label in "%s" are left out: %s', control.name, ', '.join(left_out))
    return found


def names_to_learn(control: Control, known: Mapping[str, str]) -> dict[str, str]:
    """The name that each label is learned by: what the pipeline calls it already, or else the label itself."""
    found: dict[str, str] = {}
    for name, label in known.items():
        found.setdefault(label, name)
    return {label: found.get(label, label) for label in control.labels}
