"""What there is to learn from labeled tasks: what an adapter reads of a task, and what people said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml_plugins.backend import Dataset, Run
from ml_plugins.exceptions import LabelConfigError, TaskDataError, TrainingError
from ml_plugins.label_config import Control
from ml_plugins.types import Example

if TYPE_CHECKING:
    from ml_plugins.adapters.base import Adapter

NUMBERS = ('number', 'rating')


@dataclass
class Collected:
    """Inputs with their targets: a label, several for a multiple choice, or a number."""

    inputs: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)


def check_trainable(control: Control) -> None:
    """Refuse a control that no target can be read of. Raises `LabelConfigError`."""
    if control.type not in ('choices', *NUMBERS):
        raise LabelConfigError(
            f'training is there for <Choices>, <Number> and <Rating>, not for <{control.tag}>; override fit()'
        )


def collect(
    adapter: Adapter, dataset: Dataset, run: Run, prepared: Callable[[Any], Any] | None = None
) -> tuple[Collected, Collected]:
    """Labeled tasks to learn from, and held-out ones; those that cannot be read are reported to the run.

    Args:
        prepared: Makes of an input what is kept of it, so that no more is.

    Raises:
        TrainingError: There is nothing to tell apart yet; says what to label.
    """
    control = adapter.control
    learned, held_out = Collected(), Collected()
    for done, example in enumerate(dataset, start=1):
        target = target_of(example, control)
        if target is not None:
            try:
                given = adapter.read(example.task)
            except TaskDataError as error:
                run.skip(example.task.id, str(error))
            else:
                place = held_out if example.held_out else learned
                place.inputs.append(prepared(given) if prepared else given)
                place.targets.append(target)
        run.progress(done, len(dataset))
    _refuse_too_few(control, learned.targets)
    return learned, held_out


def target_of(example: Example, control: Control) -> Any:
    """What people said with a control; None where they said nothing that can be learned from."""
    if not example.annotations:
        return None
    if control.type in NUMBERS:
        return _number(example, control)
    labels = tuple(label for label in example.annotation.labels(control.name) if label in control.labels)
    if control.is_multiple:
        return labels
    return labels[0] if len(labels) == 1 else None


def _number(example: Example, control: Control) -> float | None:
    for region in example.annotation.result:
        value = region.get('value', {}).get(control.type)
        if region.get('from_name') == control.name and isinstance(value, (int, float)):
            return float(value)
    return None


def _refuse_too_few(control: Control, targets: Sequence[Any]) -> None:
    if not targets:
        raise TrainingError(f'No task has an answer of "{control.name}" to learn from yet; label some and train again.')
    if control.type == 'choices' and len(Counter(targets)) < 2:
        given = targets[0] if isinstance(targets[0], str) else ', '.join(targets[0]) or 'nothing'
        raise TrainingError(
            f'All {len(targets)} tasks to learn from have "{given}" for "{control.name}"; label at least one task '
            'with another label and train again.'
        )
