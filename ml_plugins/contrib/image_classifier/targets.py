"""What there is to learn: which Choices are served, and what annotators chose for which picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ml_plugins.backend import Dataset
from ml_plugins.contrib.choices import answer_of, served_choices
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.types import Example, Task


@dataclass(frozen=True)
class Picture:
    """One picture of a labeled task.

    Attributes:
        key: The field of the task's data.
        answers: Chosen labels by control name; a control that was not answered is not in it.
    """

    task: Task
    key: str
    answers: Mapping[str, tuple[str, ...]]
    held_out: bool = False


@dataclass(frozen=True)
class HeadPlan:
    """One head to train.

    Attributes:
        labels: Labels with at least one picture to learn from, in the order of the label config.
    """

    control: Control
    labels: tuple[str, ...]


def served_controls(label_config: LabelConfig) -> tuple[Control, ...]:
    """Choices about a whole picture, one for each name.

    Raises:
        LabelConfigError: There is none.
    """
    return served_choices(label_config, ('Image',))


def collect(dataset: Dataset, controls: Sequence[Control]) -> list[Picture]:
    """Every labeled picture, in the dataset's order."""
    return [picture for example in dataset for picture in _pictures(example, controls)]


def _pictures(example: Example, controls: Sequence[Control]) -> Iterable[Picture]:
    for key in dict.fromkeys(control.value for control in controls):
        answers = {}
        for control in controls:
            answer = answer_of(example, control) if control.value == key else None
            if answer is not None:
                answers[control.name] = answer
        if answers:
            yield Picture(example.task, key, answers, example.held_out)


def plan_heads(pictures: Sequence[Picture], controls: Sequence[Control]) -> tuple[list[HeadPlan], list[str]]:
    """The heads that can be trained, and for every other control a sentence that says why not."""
    plans, problems = [], []
    for control in controls:
        answers = [picture.answers[control.name] for picture in pictures if control.name in picture.answers]
        seen = [
            picture.answers[control.name]
            for picture in pictures
            if control.name in picture.answers and not picture.held_out
        ]
        labels = tuple(label for label in control.labels if any(label in answer for answer in seen))
        if labels and len(set(seen)) > 1:
            plans.append(HeadPlan(control, labels))
        else:
            problems.append(_problem(control, labels, len(seen), answers))
    return plans, problems


def _problem(control: Control, labels: Sequence[str], count: int, answers: Sequence[tuple[str, ...]]) -> str:
    used = Counter(label for answer in answers for label in answer)
    if not used:
        return (
            f'No picture has a label of "{control.name}" yet. Label pictures of at least two classes and train again.'
        )
    waiting = [label for label in used if label not in labels]
    if waiting:
        names = ', '.join(f'"{label}"' for label in waiting)
        return (
            f'Of "{control.name}" the pictures of {names} are all kept back for measuring the model, and nothing else '
            f'can be learned from. Label another picture of {names} and train again.'
        )
    given = ' and '.join(f'"{label}"' for label in labels)
    others = [label for label in control.labels if label not in labels]
    advice = f'of another class ({", ".join(others[:5])})' if others else 'to which not all of them apply'
    return (
        f'All {count} labeled pictures have {given} for "{control.name}". '
        f'Label at least one picture {advice} and train again.'
    )
