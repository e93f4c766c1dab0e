"""The statements that store many predictions, in both databases' words.

Django's own ``bulk_create`` cannot say "unless it is there", and spends some 100 microseconds a row in Python; so does
a list of numbers in a filter. Here rows and numbers travel as one JSON text, which the database unfolds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.db import transaction

# Columns of each row: the task, and what the backend says.
_TASK, _RESULT, _SCORE = 'task', 'result', 'score'
_SQLITE = {
    _TASK: "json_extract(r.value, '$[0]')",
    _RESULT: "json_extract(r.value, '$[1]')",
    _SCORE: "json_extract(r.value, '$[2]')",
}
_POSTGRESQL = {
    _TASK: '(r.value ->> 0)::bigint',
    _RESULT: '(r.value ->> 1)::jsonb',
    _SCORE: '(r.value ->> 2)::double precision',
}


def as_text(rows: Iterable[tuple[int, list, float | None]]) -> str:
    """Task, result and score of each prediction in one text; made before a transaction begins."""
    # The result is text inside the text: SQLite then stores it as it stands, as Django would.
    return json.dumps([(task_id, json.dumps(result), score) for task_id, result, score in rows])


def insert_missing(predictions: Any, fixed: Mapping[str, Any], text: str) -> list[tuple[int, int]]:
    """Insert a prediction for each task that exists and has none of this model and version.

    The caller's transaction keeps others from doing the same.

    Args:
        predictions: Upstream's table of predictions.
        fixed: Values that all rows share, by field name; ``project``, ``model`` and ``model_version`` among them.
        text: The rows, from `as_text`; no task comes twice.

    Returns:
        Number and task of each new row.
    """
    connection = transaction.get_connection()
    fields = [field for field in predictions._meta.concrete_fields if not field.primary_key]
    values = {
        field.name: field.get_db_prep_save(fixed.get(field.name, field.get_default()), connection)
        for field in fields
        if field.name not in _SQLITE
    }
    names = tuple((field.name, field.column) for field in fields)
    sql = _insert(connection.vendor, predictions._meta.db_table, names)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values.values(), text, values['project'], values['model_version'], values['model']])
        return cursor.fetchall()


def replace_older(predictions: Any, annotations: Any, fixed: Mapping[str, Any], text: str) -> list[tuple[int, int]]:
    """Let the newest prediction that another version of the backend made of a task be this version's from now on.

    It keeps its number, which an editor that shows it sends with the annotation. A prediction that an annotation came
    from stays as it is.

    Args:
        predictions: Upstream's table of predictions.
        annotations: Upstream's table of annotations.
        fixed: As in `insert_missing`; of these only ``model``, ``model_version`` and ``updated_at`` are used.
        text: The rows, from `as_text`.

    Returns:
        Number and task of each row that was replaced.
    """
    connection = transaction.get_connection()
    label, model = fixed['model_version'], fixed['model']
    changed_at = predictions._meta.get_field('updated_at').get_db_prep_save(fixed['updated_at'], connection)
    sql = _replace(connection.vendor, predictions._meta.db_table, annotations._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(sql, [label, changed_at, text, model, label, model, label])
        return cursor.fetchall()


def count_again(tasks: Any, predictions: Any, task_ids: list[int], changes: Mapping[str, Any]) -> None:
    """Count the predictions of tasks anew.

    Args:
        tasks: Upstream's table of tasks.
        predictions: Upstream's table of predictions.
        changes: Further fields of the tasks to set, with their values.
    """
    connection = transaction.get_connection()
    fields = {tasks._meta.get_field(name): value for name, value in changes.items()}
    extra = ''.join(f', "{field.column}" = %s' for field in fields)
    numbers = 'json_each(%s)' if connection.vendor == 'sqlite' else 'json_array_elements_text(%s::json)'
    number = 'value' if connection.vendor == 'sqlite' else 'value::bigint'
    table = tasks._meta.db_table
    sql = (
        f'UPDATE "{table}" SET total_predictions = (SELECT COUNT(*) FROM "{predictions._meta.db_table}" AS p '
        f'WHERE p.task_id = "{table}".id){extra} WHERE id IN (SELECT {number} FROM {numbers})'
    )
    values = [field.get_db_prep_save(value, connection) for field, value in fields.items()]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, json.dumps(task_ids)])


@cache
def _insert(vendor: str, table: str, fields: tuple[tuple[str, str], ...]) -> str:
    parts = _SQLITE if vendor == 'sqlite' else _POSTGRESQL
    source = 'json_each(%s) AS r' if vendor == 'sqlite' else 'json_array_elements(%s::json) AS r(value)'
    same = 'IS' if vendor == 'sqlite' else 'IS NOT DISTINCT FROM'
    columns = ', '.join(f'"{column}"' for _, column in fields)
    values = ', '.join(parts.get(name, '%s') for name, _ in fields)
    # CROSS keeps SQLite from reading every task for every row, and the plus sign from reading every prediction of the
    # backend for every task: it has no statistics and likes the index over `model` as much as the one over `task`.
    return (
        f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM {source} '
        f'CROSS JOIN "task" AS t WHERE t.id = {parts[_TASK]} AND t.project_id = %s AND NOT EXISTS ('
        f'SELECT 1 FROM "{table}" AS p WHERE p.task_id = t.id AND p.model_version = %s AND +p.model_id {same} %s) '
        f'RETURNING id, task_id'
    )


@cache
def _replace(vendor: str, table: str, annotations: str) -> str:
    parts = _SQLITE if vendor == 'sqlite' else _POSTGRESQL
    source = 'json_each(%s) AS r' if vendor == 'sqlite' else 'json_array_elements(%s::json) AS r(value)'
    same = 'IS' if vendor == 'sqlite' else 'IS NOT DISTINCT FROM'
    own = f'p.task_id = {parts[_TASK]} AND +p.model_id {same} %s'
    return (
        f'UPDATE "{table}" SET result = {parts[_RESULT]}, score = {parts[_SCORE]}, model_version = %s, updated_at = %s '
        f'FROM {source} WHERE "{table}".id = (SELECT MAX(p.id) FROM "{table}" AS p '
        f'WHERE {own} AND p.model_version <> %s) '
        f'AND NOT EXISTS (SELECT 1 FROM "{table}" AS p WHERE {own} AND p.model_version = %s) '
        f'AND NOT EXISTS (SELECT 1 FROM "{annotations}" AS a WHERE a.parent_prediction_id = "{table}".id) '
        f'RETURNING "{table}".id, "{table}".task_id'
    )
