"""What a model says about a whole task: one label or several, or how likely each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from ml_plugins.adapters.converting import Converted, Naming, Subject
from ml_plugins.adapters.plain_numbers import array, is_array, share
from ml_plugins.exceptions import PredictionError


def choices(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], str):
        return _chosen([value[0]], naming, share(value[1], f'the score of {value[0]!r}'))
    if isinstance(value, Mapping):
        return _likely({str(name): item for name, item in value.items()}, naming)
    if is_array(value) and array(value).dtype.kind in 'fc':
        return _likely(_named(array(value), naming), naming)
    if isinstance(value, (Sequence, Set, np.ndarray)) and not isinstance(value, str):
        return _chosen([_name(item, naming) for item in value], naming)
    return _chosen([_name(value, naming)], naming)


def taxonomy(value: Any, naming: Naming, subject: Subject) -> Converted:
    """See `ml_plugins.adapters.convert`."""
    paths = [[value]] if isinstance(value, str) else list(value)
    if paths and all(isinstance(item, str) for item in paths):
        paths = [paths]
    if not paths:
        return Converted()
    found = [[_matched(str(name), naming) for name in path] for path in paths]
    return Converted([naming.control.region({'taxonomy': found})])


def _named(row: np.ndarray, naming: Naming) -> dict[str, Any]:
    if row.shape != (len(naming.names),):
        raise PredictionError(
            f'the model gave numbers of shape {row.shape} for {len(naming.names)} labels ({", ".join(naming.names)}); '
            'set labels on the backend to the names of its outputs, in order'
        )
    return dict(zip(naming.names, row, strict=True))


def _name(item: Any, naming: Naming) -> str:
    if isinstance(item, str):
        return item
    if hasattr(item, '__index__') and not isinstance(item, bool):
        # The number of a label, unless labels are numbers themselves, as those of digits.
        name = str(int(item))
        return name if naming.matcher.match(name) is not None else naming.name_of(int(item))
    raise PredictionError(f'"{naming.control.name}" takes labels, and the model gave {item!r}')


def _matched(name: str, naming: Naming) -> str:
    label = naming.matcher.match(name)
    if label is None:
        raise PredictionError(naming.matcher.unknown(name))
    return label


def _chosen(names: Sequence[str], naming: Naming, score: float | None = None) -> Converted:
    labels = list(dict.fromkeys(_matched(name, naming) for name in names))
    control = naming.control
    if len(labels) > 1 and not control.is_multiple:
        raise PredictionError(
            f'the model gave {len(labels)} labels ({", ".join(labels)}), and <Choices name="{control.name}"> takes '
            'one; it takes several with choice="multiple"'
        )
    return Converted([control.choices(*labels, score=score)] if labels else [], score)


def _likely(shares: Mapping[str, Any], naming: Naming) -> Converted:
    """The label that is most likely, or each that is likely enough; of names with one label the shares add up."""
    control, found = naming.control, {}
    for name, value in shares.items():
        likely = share(value, f'the probability of {name!r}')
        label = naming.matcher.match_or_report(name)
        if label is not None:
            together = max if control.is_multiple else _added
            found[label] = together(found[label], likely) if label in found else likely
    if shares and not found:
        raise PredictionError(naming.matcher.unknown(max(shares, key=lambda name: float(shares[name]))))
    if not found:
        return Converted()
    if control.is_multiple:
        return _several(found, naming)
    best = max(found, key=found.__getitem__)
    return Converted([control.choices(best, score=found[best])], found[best], _row(found, naming, normalised=True))


def _added(one: float, other: float) -> float:
    return min(1.0, one + other)


def _several(found: Mapping[str, float], naming: Naming) -> Converted:
    control = naming.control
    labels = [label for label, likely in found.items() if likely >= naming.threshold]
    order = {label: place for place, label in enumerate(control.labels)}
    labels.sort(key=lambda label: order.get(label, 0))
    sure = min(max(likely, 1 - likely) for likely in found.values())
    regions = [control.choices(*labels, score=min(found[label] for label in labels))] if labels else []
    return Converted(regions, sure, _row(found, naming, normalised=False))


def _row(found: Mapping[str, float], naming: Naming, normalised: bool) -> np.ndarray | None:
    """Probabilities in the order of the control's labels; None where labels are not known beforehand."""
    labels = naming.control.labels
    if not labels:
        return None
    row = np.array([found.get(label, 0.0) for label in labels], dtype=np.float64)
    total = row.sum()
    if not normalised:
        return row
    # What the model gives to labels of its own is not for this control.
    return row / total if total > 0 else None
