"""Labels that exclude one another: which control gives them, and what each labeled task has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from label_studio.ml_host.analysis.errors import AnalysisError, AnalysisOptionError
from label_studio.ml_host.training.annotators import learned_from
from label_studio.ml_host.training.scanning import labeled
from ml_plugins.label_config import Control, parse_label_config


@dataclass(frozen=True)
class GivenLabel:
    """What counts as the label of a task.

    Attributes:
        annotation_id: The annotation that gives it.
        user_id: Who made that.
    """

    task_id: int
    annotation_id: int
    user_id: int | None
    label: str


def control_of(project: Any, name: str = '') -> str:
    """Name of the control whose labels are looked at: the given one, or the first that will do.

    Raises:
        AnalysisError: The project has no such control.
        AnalysisOptionError: The given one is none of them.
    """
    controls = parse_label_config(project.label_config or '<View/>').all_controls
    fitting = [control.name for control in controls if _is_single(control)]
    if name and name not in fitting:
        raise AnalysisOptionError(f'control: "{name}" is none of {", ".join(fitting) or "the controls that will do"}')
    if not fitting:
        there = ', '.join(f'{control.tag} "{control.name}"' for control in controls) or 'no control'
        raise AnalysisError(
            f'It needs a Choices control with which one label is chosen for a whole task; this project has {there}.'
        )
    return name or fitting[0]


def given_labels(project: Any, control: str, rule: str) -> Iterator[GivenLabel]:
    """The label of each labeled task, ascending; tasks to which none or several were given are left out.

    Args:
        rule: Which of several annotations counts, one of `learning.settings.ANNOTATORS`.
    """
    for task_id, given in labeled(project.pk):
        for annotation in learned_from(given, rule)[-1:]:
            labels = annotation.labels(control)
            if len(labels) == 1:
                yield GivenLabel(task_id, annotation.id, annotation.user_id, labels[0])


def check_enough(project: Any, control: str, rule: str, fewest: int, most: int, what: str) -> None:
    """Refuse a project with too few labels; reads no more of them than it takes to know.

    Raises:
        AnalysisError: Says how many labels of how many classes there are, and how many are needed.
    """
    counts: Counter[str] = Counter()
    for item in islice(given_labels(project, control, rule), most):
        counts[item.label] += 1
        if len(counts) > 1 and counts.total() >= fewest:
            return
    check_counts(counts, control, fewest, what)


def check_counts(counts: Counter[str], control: str, fewest: int, what: str) -> None:
    """The same for labels that are counted already."""
    total = counts.total()
    if total < fewest:
        raise AnalysisError(
            f'{what} needs {fewest} tasks labeled with "{control}"; there {"is" if total == 1 else "are"} {total}.'
        )
    if len(counts) < 2:
        raise AnalysisError(
            f'All {total} tasks have the label "{next(iter(counts))}"; {what[0].lower()}{what[1:]} needs two labels or '
            'more.'
        )


def _is_single(control: Control) -> bool:
    is_of_a_part = any(
        control.attributes.get(name, '').lower() == 'true' for name in ('perregion', 'perRegion', 'perItem')
    )
    return control.tag == 'Choices' and not control.is_multiple and not is_of_a_part
