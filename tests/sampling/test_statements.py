"""The next task takes the same few statements, each by an index, however many tasks there are."""

import re

import pytest
from django.db import connection, transaction
from django.utils.timezone import now

from label_studio.ml_host.models import SampledTask, TaskScore
from label_studio.ml_host.sampling import indexes, queueing, stream
from label_studio.ml_host.sampling.queueing import Choice
from label_studio.ml_host.upstream import Project, Task

pytestmark = pytest.mark.django_db

FEW, MANY = 40, 4000


@pytest.fixture
def other(project, owner):
    """A project beside, that no statement should read."""
    return Project.objects.create(
        title='Others', created_by=owner, organization=owner.active_organization, label_config=project.label_config
    )


@pytest.fixture
def fill(project, plan, make_tasks, other):
    """Gives `fill(count, source)`: tasks that are to be served from a source, beside those of another project."""

    def put(count, source):
        Task.objects.bulk_create(Task(project=other, data={}) for _ in range(count))
        tasks = make_tasks(count, overlap=2)
        if source == 'queue':
            queueing.append(plan, [Choice(task_id) for task_id in tasks])
        if source == 'score':
            TaskScore.objects.bulk_create(
                TaskScore(
                    project=project, task_id=task_id, score=task_id, rank=1, version='', strategy='', scored_at=now()
                )
                for task_id in tasks
            )
        if source == 'begun':
            Task.objects.filter(pk__in=tasks[-2:]).update(total_annotations=1)
        with connection.cursor() as cursor:
            cursor.execute('ANALYZE')

    return put


def statements(project, user):
    """What the next task takes: statements with their values."""
    found = []

    def keep(execute, sql, params, many, context):
        found.append((sql, params))
        return execute(sql, params, many, context)

    project.refresh_from_db()
    with connection.execute_wrapper(keep):
        task, _ = stream.get_next_task(pytest.fail, user, Task.objects.filter(project=project), project, False)
    assert task is not None
    return found


@pytest.fixture(params=['queue', 'score', 'random', 'begun'])
def source(request, project):
    if request.param == 'begun':
        project.maximum_annotations = 2
        project.save()
    return request.param


def test_there_are_as_many_statements_for_many_tasks_as_for_few(project, fill, make_user, source):
    fill(FEW, source)
    # The first one makes the user's history.
    statements(project, make_user('before'))
    ann, ben = make_user('ann'), make_user('ben')
    few = statements(project, ann)
    fill(MANY, source)
    many = statements(project, ben)
    assert [_shape(sql) for sql, _ in many] == [_shape(sql) for sql, _ in few]
    assert len(many) <= 32
    assert set(SampledTask.objects.exclude(served_at=None).values_list('source', flat=True)) == {source}


def test_no_statement_reads_more_for_many_tasks(project, fill, make_user, source):
    fill(MANY, source)
    read = [pair for pair in statements(project, make_user('ann')) if pair[0].startswith(('SELECT', 'UPDATE'))]
    assert len(read) > 5
    if connection.vendor == 'sqlite':
        # A statement that goes through all tasks takes some ten steps for each.
        assert [pair for pair in read if _steps(*pair) > 2 * MANY] == []
    else:
        assert [pair for pair in read if _rows_read(*pair) > MANY / 8] == []


def test_the_measure_sees_a_statement_that_reads_everything(project, fill):
    fill(MANY, 'queue')
    tasks = Task.objects.filter(project=project, meta__isnull=False).order_by('updated_at').values('pk')
    sql, params = tasks.query.sql_with_params()
    if connection.vendor == 'sqlite':
        assert _steps(sql, params) > 2 * MANY
    else:
        assert _rows_read(sql, params) > MANY / 8


def test_the_indexes_come_back_after_a_migration():
    with connection.cursor() as cursor:
        cursor.execute(f'DROP INDEX {indexes.BEGUN}')
    indexes.after_migration(sender=None, using='default')
    with connection.cursor() as cursor:
        names = connection.introspection.get_constraints(cursor, 'task')
    assert {indexes.BEGUN, indexes.UNLABELED, indexes.OVERLAPPING} <= set(names)


def _shape(sql):
    """A statement without its values."""
    return re.sub(r"'[^']*'|\d+", '?', re.sub(r'\((%s, )*%s\)', '(?)', sql))


def _steps(sql, params):
    """How many instructions SQLite takes for a statement, in tens."""
    taken = 0

    def count():
        nonlocal taken
        taken += 10

    with transaction.atomic(), connection.cursor() as cursor:
        connection.connection.set_progress_handler(count, 10)
        try:
            cursor.execute(sql, params)
            cursor.fetchall()
        finally:
            connection.connection.set_progress_handler(None, 0)
    return taken


def _rows_read(sql, params):
    """The most rows that a step of PostgreSQL's plan gives or throws away."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'EXPLAIN (ANALYZE, TIMING OFF) {sql}', params)
        plan = '\n'.join(row[0] for row in cursor.fetchall())
    numbers = re.findall(r'actual rows=([\d.]+) loops=(\d+)', plan)
    thrown = re.findall(r'Rows Removed by \w+: (\d+)', plan)
    return max([float(rows) * int(loops) for rows, loops in numbers] + [float(rows) for rows in thrown])
