"""Labeled tasks in the order in which they were labeled, with how each of them was served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from label_studio.ml_host.models import SampledTask, SamplingPlan
from label_studio.ml_host.prelabeling.courtesy import give_way
from label_studio.ml_host.training.scanning import submitted
from ml_plugins.exceptions import MLPluginError
from ml_plugins.types import Annotation

# Labels that are judged, the newest ones; and those of before that both sides learn from.
MOST_JUDGED = 4000
MOST_BEFORE = 1000
# A task may have several annotations and may have been served several times.
_READ = 4 * (MOST_JUDGED + MOST_BEFORE)
_PAGE = 500
# Rarer answers count as one: a label of its own for each task can be learned by nobody.
MOST_CLASSES = 50
REST = 'anything else'
_Source = SampledTask.Source
# Where a task came from that the strategy, or chance in its place, chose.
_CHOSEN = (_Source.QUEUE, _Source.SCORE, _Source.RANDOM)


@dataclass(frozen=True)
class LabeledTask:
    """One labeled task.

    Attributes:
        answer: What people say with the control that is looked at.
        labeled_at: When it got its first annotation.
        explored: Whether it was served at random from all tasks that were left.
        propensity: How likely that was; NaN where it was not served at random.
    """

    task_id: int
    answer: str
    labeled_at: datetime
    explored: bool = False
    propensity: float = float('nan')


@dataclass(frozen=True)
class Labels:
    """What there is to compare.

    Attributes:
        tasks: Oldest first; those of before come first.
        before: How many of them say nothing about the strategy: it did not choose them, or they are of an earlier try.
        control: Name of the control; empty where no control gives labels.
        fewest: Labels of the rarest class of the control; None where its classes are not known.
    """

    tasks: Sequence[LabeledTask]
    before: int
    control: str
    fewest: int | None

    @property
    def explored(self) -> int:
        """Labels of randomly served tasks that are judged."""
        return sum(item.explored for item in self.tasks[self.before :])

    @property
    def judged(self) -> int:
        """Labels that say something about the strategy."""
        return len(self.tasks) - self.before


def count(project_id: int) -> int:
    """Labeled tasks of a project."""
    return _annotations(project_id).values('task_id').distinct().count()


def newest_annotation(project_id: int) -> int:
    """The highest number of a submitted annotation; 0 when there is none."""
    return _annotations(project_id).order_by('-id').values_list('id', flat=True).first() or 0


def newer(project_id: int, annotation: int, most: int) -> int:
    """How many annotations were submitted after one; counts no further than `most`."""
    return _annotations(project_id).filter(id__gt=annotation).order_by('id').values_list('id')[:most].count()


def labels_of(plan: SamplingPlan) -> Labels:
    """The newest labels of a plan's project; reads annotations a page at a time."""
    labeled_at = _labeled_at(plan.project_id)
    served = _served(plan.project_id)
    judged = [task for task in labeled_at if task in served and _counts(plan, served[task])][-MOST_JUDGED:]
    known = set(judged)
    before = [task for task in labeled_at if task not in known][-MOST_BEFORE:]
    given = _given([*before, *judged])
    # A task's last annotation may have been deleted meanwhile.
    before, judged = ([task for task in part if task in given] for part in (before, judged))
    control = _control(given.values())
    answers = _answers(given, control)
    first = [LabeledTask(task, answers[task], labeled_at[task]) for task in before]
    later = [
        LabeledTask(task, answers[task], labeled_at[task], served[task].is_random, served[task].weight)
        for task in judged
    ]
    return Labels((*first, *later), len(first), control, _fewest(plan, control, given.values()))


@dataclass(frozen=True)
class _Serving:
    """How a task was served first."""

    served_at: datetime
    explored: bool
    propensity: float | None

    @property
    def is_random(self) -> bool:
        return self.explored and bool(self.propensity)

    @property
    def weight(self) -> float:
        return float(self.propensity) if self.is_random else float('nan')


def _counts(plan: SamplingPlan, serving: _Serving) -> bool:
    return plan.judged_from is None or serving.served_at >= plan.judged_from


def _labeled_at(project_id: int) -> dict[int, datetime]:
    """Tasks by their first annotation, oldest first."""
    rows = _annotations(project_id).order_by('-id').values_list('task_id', 'created_at')[:_READ]
    # The last one that is written is the first annotation, and moves its task to the end.
    found: dict[int, datetime] = {}
    for task, created_at in rows.iterator(chunk_size=2000):
        found.pop(task, None)
        found[task] = created_at
    return dict(reversed(found.items()))


def _served(project_id: int) -> dict[int, _Serving]:
    rows = SampledTask.objects.filter(project_id=project_id, served_at__isnull=False, source__in=_CHOSEN)
    rows = rows.order_by('-served_at').values_list('task_id', 'served_at', 'explored', 'propensity')[:_READ]
    # The last one that is written is the first serving.
    return {task: _Serving(*how) for task, *how in rows.iterator(chunk_size=2000)}


def _given(task_ids: Sequence[int]) -> dict[int, Mapping[str, Sequence[str]]]:
    """Labels by control of each task."""
    found: dict[int, Mapping[str, Sequence[str]]] = {}
    for start in range(0, len(task_ids), _PAGE):
        give_way()
        given = submitted(task_ids[start : start + _PAGE])
        found |= {task: _by_control(annotations) for task, annotations in given.items()}
    return found


def _by_control(annotations: Sequence[Annotation]) -> dict[str, list[str]]:
    """What the newest annotation says, or the newest ground truth where there is one."""
    last = [item for item in annotations if item.ground_truth][-1:] or list(annotations)[-1:]
    controls = {str(region.get('from_name', '')) for item in last for region in item.result}
    found = {control: item.labels(control) for item in last for control in controls}
    return {control: labels for control, labels in found.items() if labels}


def _control(given: Iterable[Mapping[str, Sequence[str]]]) -> str:
    """The control that most tasks are labeled with."""
    counted = Counter(control for labels in given for control in labels)
    return min(counted, key=lambda control: (-counted[control], control)) if counted else ''


def _answers(given: Mapping[int, Mapping[str, Sequence[str]]], control: str) -> dict[int, str]:
    """One answer for each task; a task without a label has the empty one."""
    found = {task: ' | '.join(sorted(labels.get(control, ()))) for task, labels in given.items()}
    frequent = {answer for answer, _ in Counter(found.values()).most_common(MOST_CLASSES)}
    return {task: answer if answer in frequent else REST for task, answer in found.items()}


def _fewest(plan: SamplingPlan, control: str, given: Iterable[Mapping[str, Sequence[str]]]) -> int | None:
    from ml_plugins.label_config import parse_label_config

    try:
        controls = parse_label_config(plan.project.label_config).all_controls
    except MLPluginError:
        return None
    labels = next((item.labels for item in controls if item.name == control), ())
    counted = Counter(label for item in given for label in item.get(control, ()))
    return min((counted[label] for label in labels), default=None)


def _annotations(project_id: int) -> Any:
    from label_studio.ml_host.upstream import Annotation

    return Annotation.objects.filter(project_id=project_id, was_cancelled=False)
