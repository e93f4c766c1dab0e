"""How far people agree with the predictions that they began with, counted for the version that made them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from label_studio.ml_host.models import ModelVersion, ProjectBackend, version_label
from label_studio.ml_host.quality.scoring import scorer_for
from label_studio.ml_host.quality.verdict import judge

# An annotation gets its copy of the prediction right after it is stored, and numbers of annotations that are stored at
# once do not become visible in their order: what is younger waits for the next look.
SETTLE_SECONDS = 3.0
PAGE = 500
# Pages in one look, so that a project with a long history does not hold up the others.
MOST_PAGES = 5
# Up to which annotation this process has looked at a backend. In a project where nobody labels the cursor in the
# database stays behind, and without this each look would go through all that was submitted elsewhere since.
_looked: dict[tuple[int, datetime], int] = {}


@dataclass(frozen=True)
class _Seen:
    """What a page of annotations says.

    Attributes:
        last: Highest annotation number.
        shares: Agreements by the number of the version that predicted.
    """

    last: int
    shares: Mapping[int, list[float]]


def look(row: ProjectBackend) -> None:
    """Count what people submitted since the last look, for the versions whose predictions they began with.

    Several processes may look at once; each annotation is counted once. Called by the watcher, whether or not the
    backend learns.

    Args:
        row: The backend on a project; read again where it matters.
    """
    newest = _newest_settled()
    for _ in range(MOST_PAGES):
        start = max(row.agreement_seen, _looked.get(_key(row), 0))
        page = _page(row, start, newest) if start < newest else None
        if page is None:
            _looked[_key(row)] = max(start, newest)
            return
        counted = _count(row, page)
        if counted is None:
            # Another process was quicker.
            return
        for version in counted:
            judge(row, version, len(page.shares[version.number]))
        row.agreement_seen = page.last


def _key(row: ProjectBackend) -> tuple[int, datetime]:
    return row.pk, row.created_at


def _newest_settled() -> int:
    """The highest number, in any project, of what is old enough."""
    from label_studio.ml_host.upstream import Annotation

    settled = Annotation.objects.filter(created_at__lte=timezone.now() - timedelta(seconds=SETTLE_SECONDS))
    return settled.order_by('-id').values_list('id', flat=True).first() or 0


def _page(row: ProjectBackend, start: int, newest: int) -> _Seen | None:
    from label_studio.ml_host.upstream import Annotation

    found = Annotation.objects.filter(project_id=row.project_id, id__gt=start, id__lte=newest).order_by('id')
    # Results may be large: of the many annotations that began with no prediction only the number is read.
    heads = list(found.values_list('id', 'was_cancelled', 'prediction__model_version')[:PAGE])
    if not heads:
        return None
    made_by = {number: _version(row, label) for number, skipped, label in heads if not skipped}
    made_by = {number: version for number, version in made_by.items() if version is not None}
    return _Seen(heads[-1][0], _shares(row, made_by) if made_by else {})


def _version(row: ProjectBackend, label: Any) -> int | None:
    """Number of the backend's version that a prediction names; what is shown may say more than the bare name."""
    found = re.match(rf'{re.escape(version_label(row.backend, 0)[:-1])}(\d+)\b', str(label or ''))
    return int(found[1]) if found else None


def _shares(row: ProjectBackend, made_by: Mapping[int, int]) -> dict[int, list[float]]:
    """Agreements of the annotations with what they began with, by version."""
    from label_studio.ml_host.upstream import Annotation

    scorer = scorer_for(row.project, row.backend)
    shares: dict[int, list[float]] = defaultdict(list)
    rows = Annotation.objects.filter(id__in=list(made_by)).values_list('id', 'result', 'prediction__result')
    for number, result, predicted in rows:
        answer, truth = _regions(predicted), _regions(result)
        shares[made_by[number]].append(scorer.agreement(answer, truth, scorer.counted([answer])))
    return shares


def _regions(result: Any) -> list[dict[str, Any]]:
    return [item for item in result if isinstance(item, dict)] if isinstance(result, list) else []


def _count(row: ProjectBackend, page: _Seen) -> list[ModelVersion] | None:
    """Add the page to its versions, all of it or nothing; None when the cursor was moved meanwhile.

    Returns:
        The versions as they were before.
    """
    own = ModelVersion.objects.filter(project=row.project_id, backend=row.backend)
    with transaction.atomic():
        rows = ProjectBackend.objects.filter(pk=row.pk, agreement_seen=row.agreement_seen)
        if not rows.update(agreement_seen=page.last):
            return None
        versions = list(own.filter(number__in=list(page.shares)))
        for version in versions:
            values = page.shares[version.number]
            own.filter(pk=version.pk).update(
                live_count=F('live_count') + len(values), live_sum=F('live_sum') + sum(values)
            )
    return versions
