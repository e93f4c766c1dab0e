"""Write scores of many tasks with one statement for each thousand, and remove those that mean nothing any more."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache

import numpy as np
from django.db import transaction

from label_studio.ml_host.models import TaskScore
from label_studio.ml_host.prelabeling.courtesy import give_way, give_way_before_writing
from label_studio.ml_host.sampling.computing import ranks_among

# Rows of one transaction: an annotator who saves waits for no longer than that takes.
CHUNK = 2000
_FIXED = ('project_id', 'version', 'strategy', 'scored_at')


def write(
    project_id: int, task_ids: np.ndarray, scores: np.ndarray, version: str, strategy: str, now: datetime
) -> None:
    """Insert or replace the scores of some tasks.

    Args:
        version: Name in predictions of the version that they are based on.
        strategy: Who gave them.
    """
    connection = transaction.get_connection()
    ranks = ranks_among(scores, scores)
    stamp = TaskScore._meta.get_field('scored_at').get_db_prep_save(now, connection)
    sql = _upsert(connection.vendor, TaskScore._meta.db_table)
    for start in range(0, len(task_ids), CHUNK):
        columns = (array[start : start + CHUNK].tolist() for array in (task_ids, scores, ranks))
        text = json.dumps(list(zip(*columns, strict=True)))
        give_way_before_writing()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, [project_id, version, strategy, stamp, text])


def prune(project_id: int, wanted: np.ndarray) -> int:
    """Remove the scores of tasks that are labeled or gone.

    Args:
        wanted: Tasks that may have a score, ascending.

    Returns:
        How many were removed.
    """
    rows = TaskScore.objects.filter(project_id=project_id)
    found = np.fromiter(rows.order_by('task_id').values_list('task_id', flat=True).iterator(10_000), dtype=np.int64)
    outdated = np.setdiff1d(found, wanted, assume_unique=True)
    for start in range(0, len(outdated), CHUNK):
        give_way()
        rows.filter(task_id__in=outdated[start : start + CHUNK].tolist()).delete()
    return len(outdated)


@cache
def _upsert(vendor: str, table: str) -> str:
    if vendor == 'sqlite':
        task, score, rank = (f"json_extract(r.value, '$[{number}]')" for number in range(3))
        source = 'json_each(%s) AS r'
    else:
        task, score = '(r.value ->> 0)::bigint', '(r.value ->> 1)::double precision'
        rank = '(r.value ->> 2)::integer'
        source = 'json_array_elements(%s::json) AS r(value)'
    columns = ', '.join(_FIXED)
    replaced = ', '.join(f'{name} = excluded.{name}' for name in ('score', 'rank', 'version', 'strategy', 'scored_at'))
    # Without a condition SQLite takes ON for that of a join.
    return (
        f'INSERT INTO "{table}" ({columns}, task_id, score, rank) SELECT %s, %s, %s, %s, {task}, {score}, {rank} '
        f'FROM {source} WHERE true ON CONFLICT (project_id, task_id) DO UPDATE SET {replaced}'
    )
