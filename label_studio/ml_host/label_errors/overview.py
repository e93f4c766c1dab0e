"""How suspected labels stand now: annotations are changed and deleted, and people say something of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from label_studio.ml_host.label_errors.result import Found, Suspect
from label_studio.ml_host.models import LabelErrorRun, LabelReview
from label_studio.ml_host.training.scanning import submitted
from ml_plugins.types import Annotation

OPEN, RIGHT, ASKED, CHANGED, GONE = 'open', 'right', 'asked', 'changed', 'gone'
# A count that takes longer is not repeated before twenty times as long has passed.
_QUICK_SECONDS = 0.5
_PAUSE = 20
_counted: dict[int, tuple[float, Changes]] = {}


@dataclass(frozen=True)
class Standing:
    """One suspected label.

    Attributes:
        state: ``open``, ``right`` or ``asked`` as somebody said, ``changed`` when the annotation gives another label by
            now, ``gone`` when it or its task is deleted.
        annotator: Who gave it; empty when nobody knows.
        opinions: What others say since they were asked: label and person.
    """

    suspect: Suspect
    state: str
    annotator: str
    opinions: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Changes:
    """What happened to the labels of a project since they were read."""

    changed: int
    deleted: int

    def __bool__(self) -> bool:
        return bool(self.changed or self.deleted)

    @property
    def sentence(self) -> str:
        """For people; empty when nothing happened."""
        parts = [f'{self.changed:,} new or changed'] * bool(self.changed) + [f'{self.deleted:,} deleted'] * bool(
            self.deleted
        )
        return f'The labels have changed since: {", ".join(parts)}. Look again.' if parts else ''


def standings(run: LabelErrorRun) -> list[Standing]:
    """Every suspected label of a finished run, in the order of doubt."""
    if not run.result:
        return []
    found = Found.of(run.result)
    reviews = {
        review.annotation_id: review
        for review in LabelReview.objects.filter(
            project=run.project_id,
            control=found.control,
            annotation_id__in=[item.annotation_id for item in found.suspects],
        )
    }
    given = submitted([item.task_id for item in found.suspects])
    names = _names([item for annotations in given.values() for item in annotations])
    return [
        _standing(item, found.control, given.get(item.task_id, []), reviews.get(item.annotation_id), names)
        for item in found.suspects
    ]


def counts(all_of_them: Sequence[Standing]) -> Counter[str]:
    """How many stand how."""
    return Counter(item.state for item in all_of_them)


def changes_since(run: LabelErrorRun) -> Changes:
    """What happened to the labels since a finished run read them."""
    now = time.monotonic()
    until, known = _counted.get(run.pk, (0.0, Changes(0, 0)))
    if now < until:
        return known
    found = _count(run)
    took = time.monotonic() - now
    _counted.pop(run.pk, None)
    if took > _QUICK_SECONDS:
        _counted[run.pk] = (now + _PAUSE * took, found)
    return found


def _standing(
    suspect: Suspect,
    control: str,
    annotations: Sequence[Annotation],
    review: LabelReview | None,
    names: Mapping[int, str],
) -> Standing:
    own = next((item for item in annotations if item.id == suspect.annotation_id), None)
    if own is None:
        return Standing(suspect, GONE, '')
    annotator = names.get(own.user_id, '')
    if own.labels(control) != [suspect.given]:
        return Standing(suspect, CHANGED, annotator)
    if review is None or review.given != suspect.given:
        return Standing(suspect, OPEN, annotator)
    if review.verdict == LabelReview.Verdict.RIGHT:
        return Standing(suspect, RIGHT, annotator)
    opinions = [
        (', '.join(item.labels(control)), names.get(item.user_id, ''))
        for item in annotations
        if item.user_id != own.user_id
    ]
    return Standing(suspect, ASKED, annotator, opinions)


def _names(annotations: Sequence[Annotation]) -> dict[int, str]:
    from label_studio.ml_host.upstream import User

    people = {item.user_id for item in annotations if item.user_id is not None}
    return dict(User.objects.filter(pk__in=people).values_list('pk', 'email'))


def _count(run: LabelErrorRun) -> Changes:
    from label_studio.ml_host.upstream import Annotation as StoredAnnotation

    found, own = Found.of(run.result), StoredAnnotation.objects.filter(project=run.project_id, was_cancelled=False)
    read_at = datetime.fromisoformat(found.read_at)
    created = own.filter(created_at__gte=read_at).count()
    return Changes(own.filter(updated_at__gte=read_at).count(), max(0, found.annotations + created - own.count()))
