"""Read the tasks of a shard by key, page by page, without those that the run leaves out."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from label_studio.ml_host.models import PrelabelRun, PrelabelShard
from label_studio.ml_host.prelabeling.selection import unpack
from label_studio.ml_host.prelabeling.store import Source
from label_studio.ml_host.sampling import feeding

PAGE = 1000


@dataclass(frozen=True)
class Row:
    """What a model needs of one stored task."""

    id: int
    data: dict[str, Any]
    meta: Any


@dataclass(frozen=True)
class Batch:
    """Consecutive tasks of a shard.

    Attributes:
        rows: Tasks to predict.
        skipped: Tasks left out before or between them.
        last_id: With this batch everything up to here is dealt with.
    """

    rows: Sequence[Row]
    skipped: int
    last_id: int


class ShardReader:
    """Gives a shard's remaining tasks in order; what memory it needs does not depend on their number.

    Args:
        run: Its options and selection.
        shard: Its range and cursor.
        source: What the run's predictions carry.
    """

    def __init__(self, run: PrelabelRun, shard: PrelabelShard, source: Source) -> None:
        self._run = run
        self._source = source
        self._last_id = shard.last_id
        self._position = shard.cursor
        self._selected = unpack(run.selection) if run.selection is not None else None
        # Task numbers seen but not given out, with whether the run wants them.
        self._seen: deque[tuple[int, bool]] = deque()
        self._missing = 0

    def next(self, size: int) -> Batch | None:
        """At most `size` tasks; None at the end. A batch without tasks says how many were left out."""
        if not self._seen and not self._read_page():
            return self._rest()
        wanted: list[int] = []
        skipped, self._missing = self._missing, 0
        last = 0
        while self._seen and (len(wanted) < size or not self._seen[0][1]):
            last, is_wanted = self._seen.popleft()
            if is_wanted:
                wanted.append(last)
            else:
                skipped += 1
        rows = self._load(wanted)
        # Deleted since the page was read.
        return Batch(rows, skipped + len(wanted) - len(rows), last)

    def _rest(self) -> Batch | None:
        # Selected tasks at the very end that are not there any more.
        if not self._missing:
            return None
        batch, self._missing = Batch((), self._missing, self._last_id), 0
        return batch

    def _read_page(self) -> bool:
        """Look at the next tasks; False when there are none."""
        from label_studio.ml_host.upstream import Task

        while True:
            tasks = Task.objects.filter(project_id=self._run.project_id).order_by('id')
            if self._selected is None:
                found = tasks.filter(id__gt=self._position, id__lte=self._last_id)[:PAGE]
            else:
                ids = self._slice()
                if not ids:
                    return False
                found = tasks.filter(id__in=ids)
            page = list(found.values_list('id', 'is_labeled'))
            if self._selected is None and not page:
                return False
            self._position = page[-1][0] if self._selected is None else ids[-1]
            if self._selected is not None:
                self._missing += len(ids) - len(page)
            if page:
                self._seen.extend(self._judged(page))
                return True

    def _slice(self) -> list[int]:
        start = bisect.bisect_right(self._selected, self._position)
        stop = bisect.bisect_right(self._selected, self._last_id)
        return self._selected[start : min(stop, start + PAGE)].tolist()

    def _judged(self, page: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
        have = self._predicted([task_id for task_id, _ in page])
        skips_labeled = self._run.skip_labeled
        return [(task_id, task_id not in have and not (skips_labeled and is_labeled)) for task_id, is_labeled in page]

    def _predicted(self, task_ids: list[int]) -> set[int]:
        from label_studio.ml_host.upstream import Prediction

        found = Prediction.objects.filter(_among('task_id', task_ids)).order_by()
        if self._run.skip_predicted:
            return set(found.values_list('task_id', flat=True))
        # The backend is compared here: SQLite would go through all of its predictions instead of these tasks'.
        same = found.filter(model_version=self._source.label).values_list('task_id', 'model_id')
        have = {task_id for task_id, model_id in same if model_id == self._source.connection_id}
        if self._run.refresh:
            # What was predicted before answers were kept, or whose file was lost, is predicted once more for them.
            return feeding.kept(self._source.project_id, self._source.label, have)
        return have

    def _load(self, task_ids: list[int]) -> list[Row]:
        from label_studio.ml_host.upstream import Task

        if not task_ids:
            return []
        found = Task.objects.filter(_among('id', task_ids), project_id=self._run.project_id).order_by('id')
        wanted = set(task_ids)
        return [Row(*values) for values in found.values_list('id', 'data', 'meta') if values[0] in wanted]


def _among(field: str, numbers: Sequence[int]) -> Q:
    """Rows with one of these numbers, and maybe a few more: a range costs Django much less than a long list."""
    first, last = numbers[0], numbers[-1]
    if last - first < 2 * len(numbers):
        return Q(**{f'{field}__gte': first, f'{field}__lte': last})
    return Q(**{f'{field}__in': numbers})
