"""What there is to learn: the labeled texts, and which controls have labels enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_plugins.backend import Dataset, Run
from ml_plugins.contrib.choices import answer_of
from ml_plugins.contrib.texts import text_or_failure
from ml_plugins.label_config import Control
from ml_plugins.types import Example, Task, TaskFailure

OBJECTS = ('Text', 'HyperText')


@dataclass(frozen=True)
class Text:
    """One text of a labeled task.

    Attributes:
        key: The field of the task's data.
        answers: Chosen labels by control name; a control that was not answered is not in it.
    """

    task: Task
    key: str
    content: str
    answers: Mapping[str, tuple[str, ...]]
    held_out: bool = False


@dataclass(frozen=True)
class HeadPlan:
    """One head to train.

    Attributes:
        labels: Labels with at least one text to learn from, in the order of the label config.
    """

    control: Control
    labels: tuple[str, ...]


def is_page(control: Control) -> bool:
    """Whether what the control labels is HTML."""
    return control.object_tag.lower() == 'hypertext'


def collect(dataset: Dataset, controls: Sequence[Control], run: Run) -> list[Text]:
    """Every labeled text that can be read, in the dataset's order; the others are reported to the run."""
    texts: list[Text] = []
    total = len(dataset)
    for done, example in enumerate(dataset, start=1):
        texts += _texts(example, controls, run)
        run.progress(done, 2 * total)
    return texts


def _texts(example: Example, controls: Sequence[Control], run: Run) -> Iterator[Text]:
    for key in dict.fromkeys(control.value for control in controls):
        own = [control for control in controls if control.value == key]
        given = {control.name: answer_of(example, control) for control in own}
        answers = {name: answer for name, answer in given.items() if answer is not None}
        if not answers:
            continue
        content = text_or_failure(example.task, key, is_page(own[0]))
        if isinstance(content, TaskFailure):
            run.skip(example.task.id, content.reason)
        else:
            yield Text(example.task, key, content, answers, example.held_out)


def plan_heads(texts: Sequence[Text], controls: Sequence[Control]) -> tuple[list[HeadPlan], list[str]]:
    """The heads that can be trained, and for every other control a sentence that says why not."""
    plans, problems = [], []
    for control in controls:
        answered = [text for text in texts if control.name in text.answers]
        seen = [text.answers[control.name] for text in answered if not text.held_out]
        labels = tuple(label for label in control.labels if any(label in answer for answer in seen))
        if labels and len(set(seen)) > 1:
            plans.append(HeadPlan(control, labels))
        else:
            problems.append(_problem(control, labels, len(seen), len(answered) - len(seen)))
    return plans, problems


def _problem(control: Control, labels: Sequence[str], learning: int, held_out: int) -> str:
    if not learning + held_out:
        return f'No text has a label of "{control.name}" yet. Label texts of at least two classes and train again.'
    if not learning:
        return (
            f'All {held_out} labeled texts of "{control.name}" are kept back for measuring the model. Label more texts '
            'and train again.'
        )
    given = ' and '.join(f'"{label}"' for label in labels) or 'nothing'
    others = ', '.join([label for label in control.labels if label not in labels][:5])
    advice = f'of another class ({others})' if others else 'to which not all of them apply'
    return (
        f'All {learning} labeled texts have {given} for "{control.name}". Label at least one text {advice} and train '
        'again.'
    )
