"""Hold two versions against each other on the held-out tasks that both answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from label_studio.ml_host.models import Evaluation, ModelVersion
from label_studio.ml_host.quality.answers import HeldOutAnswer, Result, answers_of
from label_studio.ml_host.quality.confusion import Confusion, confusion_of, label_controls, labels_in
from label_studio.ml_host.quality.examination import Score
from label_studio.ml_host.quality.scoring import Controls, Scorer, common_controls, scorer_for
from label_studio.ml_host.quality.statistics import CHANCE, Paired, paired_test, score_of
from label_studio.ml_host.quality.words import in_words, means_in_words, p_in_words
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import parse_label_config

MOST_DISAGREEMENTS = 200


@dataclass(frozen=True)
class ControlComparison:
    """Both versions on one control that gives labels.

    Attributes:
        name: The control's name.
        kind: Its kind in results, e.g. ``choices``.
        labels: Labels in the order of the label config, then those that are in it no more.
    """

    name: str
    kind: str
    labels: Sequence[str]
    first: Confusion
    second: Confusion


@dataclass(frozen=True)
class Disagreement:
    """A held-out task on which the two versions say something different.

    Attributes:
        truth: What people say, in Label Studio's format; `truth_text` in words, and so on.
        first_agreement: How far the first version agrees with people, 0..1.
    """

    task_id: int
    truth: Result
    first: Result
    second: Result
    truth_text: str
    first_text: str
    second_text: str
    first_agreement: float
    second_agreement: float


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same held-out tasks.

    Attributes:
        tasks: How many both answered; with 0 there is nothing to compare.
        first_score: None when there is nothing to compare.
        p_value: How likely so large a difference is by chance; None when there is nothing to compare.
        sentence: The outcome in words.
        controls: Figures by label, for each control that gives labels.
        disagreeing: On how many tasks they disagree.
        disagreements: The first `MOST_DISAGREEMENTS` of them, the largest difference first.
    """

    first: ModelVersion
    second: ModelVersion
    tasks: int
    first_score: Score | None
    second_score: Score | None
    p_value: float | None
    sentence: str
    controls: Sequence[ControlComparison]
    disagreeing: int
    disagreements: Sequence[Disagreement]


def compare(first: ModelVersion, second: ModelVersion) -> Comparison:
    """Compare two versions of a project on the tasks that both were measured on, with what people said last."""
    scorer = scorer_for(first.project, first.backend)
    controls, pairs = _common(first, second, scorer)
    if not pairs:
        return Comparison(first, second, 0, None, None, None, _why_not(first, second), (), 0, ())
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    first_values, second_values = ([item.agreement for item in items] for items in (ours, theirs))
    paired = paired_test(first_values, second_values)
    differing = [pair for pair in pairs if not _alike(*pair, scorer, controls)]
    return Comparison(
        first=first,
        second=second,
        tasks=len(pairs),
        first_score=score_of(first_values),
        second_score=score_of(second_values),
        p_value=paired.p_value,
        sentence=_sentence(first, second, paired),
        controls=_controls(first.project.label_config, ours, theirs, controls),
        disagreeing=len(differing),
        disagreements=[_disagreement(*pair) for pair in sorted(differing, key=_importance)[:MOST_DISAGREEMENTS]],
    )


def _common(
    first: ModelVersion, second: ModelVersion, scorer: Scorer
) -> tuple[Controls, list[tuple[HeldOutAnswer, HeldOutAnswer]]]:
    ours, theirs = answers_of(first), answers_of(second)
    controls = common_controls(ours, theirs)
    ours, theirs = scorer.on_controls(ours, controls), scorer.on_controls(theirs, controls)
    second_is_newer = _measured_at(second) >= _measured_at(first)
    pairs = []
    for task_id in sorted(ours.by_task.keys() & theirs.by_task.keys()):
        one, other = ours.by_task[task_id], theirs.by_task[task_id]
        if one.truth_hash != other.truth_hash:
            if second_is_newer:
                one = scorer.rescored(one, other.truth, controls)
            else:
                other = scorer.rescored(other, one.truth, controls)
        pairs.append((one, other))
    return controls, pairs


def _measured_at(version: ModelVersion) -> float:
    found = Evaluation.objects.filter(version=version).values_list('created_at', flat=True).first()
    return found.timestamp() if found else 0.0


def _alike(one: HeldOutAnswer, other: HeldOutAnswer, scorer: Scorer, controls: Controls) -> bool:
    return one.failed == other.failed and scorer.same(one.answer, other.answer, controls)


def _importance(pair: tuple[HeldOutAnswer, HeldOutAnswer]) -> tuple[float, int]:
    return -abs(pair[0].agreement - pair[1].agreement), pair[0].task_id


def _disagreement(one: HeldOutAnswer, other: HeldOutAnswer) -> Disagreement:
    return Disagreement(
        task_id=one.task_id,
        truth=one.truth,
        first=one.answer,
        second=other.answer,
        truth_text=in_words(one.truth),
        first_text='failed' if one.failed else in_words(one.answer),
        second_text='failed' if other.failed else in_words(other.answer),
        first_agreement=one.agreement,
        second_agreement=other.agreement,
    )


def _controls(
    label_config: str, ours: Sequence[HeldOutAnswer], theirs: Sequence[HeldOutAnswer], controls: Controls
) -> list[ControlComparison]:
    results = [result for item in (*ours, *theirs) for result in (item.truth, item.answer)]
    found = []
    for name, kind in sorted(label_controls(results).items()):
        if controls is None or name in controls:
            known = _known_labels(label_config, name)
            labels = [*known, *sorted(labels_in(results, name) - set(known))]
            confusions = (confusion_of(items, name, labels) for items in (ours, theirs))
            found.append(ControlComparison(name, kind, labels, *confusions))
    return found


def _known_labels(label_config: str, control: str) -> list[str]:
    try:
        controls = parse_label_config(label_config).all_controls
    except LabelConfigError:
        return []
    # A taxonomy's labels are parts of paths, so they stand in no answer as they are.
    return list(next((item.labels for item in controls if item.name == control and item.type != 'taxonomy'), ()))


def _sentence(first: ModelVersion, second: ModelVersion, paired: Paired) -> str:
    one, other = means_in_words(paired.new, paired.old)
    is_clear = paired.p_value < CHANCE
    better, worse = first, second
    if is_clear and paired.new < paired.old:
        # The mean of the better version comes first, as its number does.
        better, worse, one, other = second, first, other, one
    means = f'{one} against {other} on the same {paired.tasks} held-out tasks'
    if not is_clear:
        return f'No clear difference: {means}, {p_in_words(paired.p_value)}.'
    return f'Version {better.number} is better than version {worse.number}: {means}, {p_in_words(paired.p_value)}.'


def _why_not(first: ModelVersion, second: ModelVersion) -> str:
    unmeasured = [version for version in (first, second) if not Evaluation.objects.filter(version=version).exists()]
    if unmeasured:
        names = ' and '.join(f'version {version.number}' for version in unmeasured)
        return (
            f'Nothing to compare: {names} {"was" if len(unmeasured) == 1 else "were"} not measured on held-out tasks.'
        )
    return 'Nothing to compare: the two versions were measured on different held-out tasks.'
