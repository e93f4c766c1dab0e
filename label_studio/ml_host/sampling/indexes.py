"""Three small indexes of upstream's table of tasks, without which the next task costs more the more tasks there are.

They are no part of upstream's models: SQLite loses them when an upgrade of upstream rebuilds the table, so they are
looked for after every migration.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Func

# Tasks without all of their annotations, by number: a random one is a seek. The sum keeps PostgreSQL off the primary
# key, along which it would read the tasks of other projects.
UNLABELED = 'ml_host_unlabeled_tasks'
# Those among them that several people are to annotate.
OVERLAPPING = 'ml_host_overlapping_tasks'
# Those among them that somebody began with; there are few at any time.
BEGUN = 'ml_host_begun_tasks'


class Number(Func):
    """A task's number as these indexes have it."""

    template = '(%(expressions)s + 0)'


_CREATE = (
    f'CREATE INDEX IF NOT EXISTS {UNLABELED} ON task (project_id, (id + 0)) WHERE NOT is_labeled',
    f'CREATE INDEX IF NOT EXISTS {OVERLAPPING} ON task (project_id, (id + 0)) WHERE NOT is_labeled AND overlap > 1',
    f'CREATE INDEX IF NOT EXISTS {BEGUN} ON task (project_id, (total_annotations + cancelled_annotations)) '
    'WHERE NOT is_labeled AND (total_annotations + cancelled_annotations) > 0',
)


def create(connection: Any) -> None:
    """Create what is missing."""
    with connection.cursor() as cursor:
        for statement in _CREATE:
            cursor.execute(statement)


def after_migration(sender: Any, using: str, **_: Any) -> None:
    """Receiver of Django's ``post_migrate`` signal of our own app."""
    from django.db import connections

    connection = connections[using]
    if 'task' in connection.introspection.table_names():
        create(connection)
