"""The next task of the label stream: for few tasks and for many, against upstream's uncertainty sampling.

    python tests/benchmarks/bench_next_task.py [tasks ...]

Without arguments for 1,000, 100,000 and 1,000,000 tasks, each in a database of its own: SQLite, or with
`LABEL_STUDIO_TEST_DATABASE=postgresql` one of a PostgreSQL that is started for it. Each request goes through upstream's
view; what is served is labeled before the next one. Parts of each size:

- queue: tasks that were chosen ahead; score: the best score, nothing is chosen ahead; random: nothing is scored;
  overlap: two annotations a task, of which others have begun some;
- upstream: upstream's own uncertainty sampling with a prediction of every task, fewer rounds.

Asked: p95 at 1,000,000 tasks at most 1.5 times p95 at 1,000, at 100,000 at most 167 ms (a third of upstream's 0.5 s),
and the choice itself, without upstream's locks, history and answer, under 5 ms.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
SIZES = (1_000, 100_000, 1_000_000)
ROUNDS, UPSTREAM_ROUNDS, WARM = 100, 5, 5
BATCH = 50
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
RESULT = [{'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['yes']}}]
LABEL = 'constant-v0'


def main() -> None:
    sizes = [int(word.replace(',', '').replace('_', '')) for word in sys.argv[1:]] or SIZES
    server = None
    if os.environ.get('LABEL_STUDIO_TEST_DATABASE') == 'postgresql':
        from tests.postgresql import PostgreSQL

        server = PostgreSQL()
    try:
        found = {size: in_process(size, server) for size in sizes}
    finally:
        if server is not None:
            server.stop()
    report(found)


def in_process(size: int, server) -> dict[str, list[float]]:
    """Measure one size in a process and a database of its own."""
    environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': tempfile.mkdtemp(prefix='bench-next-')}
    environment |= {'ML_LOG_LEVEL': 'WARNING', 'BENCH_TASKS': str(size)}
    environment |= server.environment(server.create(template='template1')) if server is not None else {}
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, env=environment)
    done = subprocess.run([sys.executable, __file__], check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(found: dict[int, dict[str, list[float]]]) -> None:
    print(
        f'{"tasks":>10} {"part":10} {"p50 ms":>8} {"p95 ms":>8} {"choice p50":>11} {"choice p95":>11} {"requests":>9}'
    )
    for size, parts in found.items():
        for part in ('queue', 'score', 'random', 'overlap', 'upstream'):
            times, choices = parts[part], parts.get(f'{part} choice')
            choice = f'{statistics.median(choices):11.2f} {p95(choices):11.2f}' if choices else f'{"-":>11} {"-":>11}'
            print(f'{size:10,} {part:10} {statistics.median(times):8.1f} {p95(times):8.1f} {choice} {len(times):9}')
    few, many = min(found), max(found)
    for part in ('queue', 'score', 'random', 'overlap'):
        ratio = p95(found[many][part]) / p95(found[few][part])
        print(f'{part}: p95 at {many:,} is {ratio:.2f} times p95 at {few:,} (<= 1.5)')


def p95(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


class Bench:
    """One project of some size, and one person who labels it."""

    def __init__(self, size: int) -> None:
        from rest_framework.test import APIClient

        from label_studio.ml_host.models import SamplingPlan
        from label_studio.ml_host.upstream import Organization, Project, User
        from tests.inline_plugins import ConstantBackend, register

        register('constant', ConstantBackend)
        self.user = User.objects.create_user(email='bench@example.org', password='bench-pass')
        organization = Organization.create_organization(created_by=self.user, title='Bench')
        self.user.active_organization = organization
        self.user.save()
        self.project = Project.objects.create(
            title='Bench',
            created_by=self.user,
            organization=organization,
            label_config=CONFIG,
            # Nothing is predicted while it is measured.
            show_collab_predictions=False,
        )
        self.add_tasks(size)
        self.enable()
        self.plan = SamplingPlan.objects.create(
            project=self.project, backend='constant', enabled=True, strategy='margin', batch=BATCH
        )
        self.client = APIClient()
        self.client.force_authenticate(self.user)

    def enable(self) -> None:
        """As a backend is enabled, without a model that predicts while it is measured."""
        from label_studio.ml_host.models import ProjectBackend

        ProjectBackend.objects.create(project=self.project, backend='constant', enabled=True)

    def add_tasks(self, size: int) -> None:
        from label_studio.ml_host.upstream import Task

        first = Task.objects.create(project=self.project, data={'text': 'Some text.'})
        columns = ', '.join(f'"{field.column}"' for field in Task._meta.concrete_fields if not field.primary_key)
        execute(
            f'INSERT INTO task ({columns}) WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number '
            f'WHERE n < {size}) SELECT {columns} FROM task CROSS JOIN number WHERE task.id = {first.pk}'
        )
        execute('ANALYZE')

    def add_scores(self) -> None:
        execute(
            'INSERT INTO ml_host_taskscore (project_id, task_id, score, rank, version, strategy, scored_at) '
            f"SELECT project_id, id, (id % 1009) / 1009.0, 1009 - id % 1009, '{LABEL}', 'margin', created_at FROM task"
        )
        execute('ANALYZE')

    def add_predictions(self) -> None:
        """One of every task, as upstream's uncertainty sampling wants them."""
        from label_studio.ml_host.upstream import Prediction, Project, Task

        task = Task.objects.filter(project=self.project).first()
        first = Prediction.objects.create(
            task=task, project=self.project, result=RESULT, score=0.5, model_version=LABEL
        )
        fields = [field for field in Prediction._meta.concrete_fields if not field.primary_key]
        given = {'task_id': 'task.id', 'score': '(task.id % 1009) / 1009.0'}
        columns = ', '.join(f'"{field.column}"' for field in fields)
        values = ', '.join(given.get(field.column, f'prediction."{field.column}"') for field in fields)
        execute(
            f'INSERT INTO prediction ({columns}) SELECT {values} FROM task '
            f'JOIN prediction ON prediction.id = {first.pk} WHERE task.id <> {task.pk}'
        )
        Project.objects.filter(pk=self.project.pk).update(sampling=Project.UNCERTAINTY, model_version=LABEL)
        execute('ANALYZE')

    def ask(self, rounds: int) -> tuple[list[float], list[float]]:
        """Seconds of some requests in milliseconds, and of the choice in each."""
        times, choices = [], []
        with timed_choice(choices):
            for number in range(rounds + WARM):
                self.refill()
                start = time.perf_counter()
                response = self.client.get(f'/api/projects/{self.project.pk}/next/')
                taken = 1000 * (time.perf_counter() - start)
                assert response.status_code == 200, response.content
                if number >= WARM:
                    times.append(taken)
                answer = {'result': RESULT, 'lead_time': 1}
                done = self.client.post(f'/api/tasks/{response.json()["id"]}/annotations/', answer, format='json')
                assert done.status_code == 201, done.content
        return times, choices[WARM:]

    refilling = False

    def refill(self) -> None:
        """Choose tasks ahead, as the background does."""
        from label_studio.ml_host.sampling import queueing
        from label_studio.ml_host.sampling.queueing import Choice
        from label_studio.ml_host.upstream import Task

        if not self.refilling or queueing.waiting(self.plan).count() > BATCH // 2:
            return
        served = queueing.waiting(self.plan).order_by('-task_id').values_list('task_id', flat=True).first() or 0
        ids = Task.objects.filter(project=self.project, is_labeled=False, pk__gt=served).order_by('pk')
        queueing.append(self.plan, [Choice(pk) for pk in ids.values_list('pk', flat=True)[:BATCH]])


class timed_choice:
    """Has the milliseconds of each choice appended to a list: all of the seam but upstream's locks and history."""

    def __init__(self, choices: list[float]) -> None:
        self.choices = choices

    def __enter__(self) -> None:
        from label_studio.ml_host.sampling import stream
        from label_studio.ml_host.upstream import Task

        self.choose, self.set_lock, self.has_lock = stream._next, Task.set_lock, Task.has_lock
        upstreams = 0.0

        def timed(function):
            def call(*args, **kwargs):
                nonlocal upstreams
                start = time.perf_counter()
                try:
                    return function(*args, **kwargs)
                finally:
                    upstreams += time.perf_counter() - start

            return call

        def choose(request):
            nonlocal upstreams
            upstreams, start = 0.0, time.perf_counter()
            try:
                return self.choose(request)
            finally:
                self.choices.append(1000 * (time.perf_counter() - start - upstreams))

        stream._next, Task.set_lock, Task.has_lock = choose, timed(self.set_lock), timed(self.has_lock)

    def __exit__(self, *_) -> None:
        from label_studio.ml_host.sampling import stream
        from label_studio.ml_host.upstream import Task

        stream._next, Task.set_lock, Task.has_lock = self.choose, self.set_lock, self.has_lock


def execute(sql: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)


def measure(size: int) -> None:
    from label_studio.ml_host import bootstrap

    bootstrap.setup()
    from label_studio.ml_host.models import SamplingPlan
    from label_studio.ml_host.sampling import queueing
    from label_studio.ml_host.upstream import Project, Task

    bench = Bench(size)
    found: dict[str, list[float]] = {}
    found['random'], found['random choice'] = bench.ask(ROUNDS)
    bench.add_scores()
    found['score'], found['score choice'] = bench.ask(ROUNDS)
    bench.refilling = True
    found['queue'], found['queue choice'] = bench.ask(ROUNDS)
    Project.objects.filter(pk=bench.project.pk).update(maximum_annotations=2)
    ids = Task.objects.filter(project=bench.project, is_labeled=False).order_by('-pk').values_list('pk', flat=True)
    # Others have begun as many as are served here, and nobody labels those to the end.
    Task.objects.filter(project=bench.project, is_labeled=False, pk__gte=ids[size // 2]).update(overlap=2)
    Task.objects.filter(pk__in=list(ids[: 2 * ROUNDS])).update(overlap=3, total_annotations=1)
    found['overlap'], found['overlap choice'] = bench.ask(ROUNDS)
    queueing.drop_all(bench.plan, 'the benchmark goes on')
    bench.refilling = False
    SamplingPlan.objects.all().delete()
    Project.objects.filter(pk=bench.project.pk).update(maximum_annotations=1)
    Task.objects.filter(project=bench.project, overlap__gt=1).update(overlap=1, total_annotations=0)
    bench.add_predictions()
    found['upstream'], _ = bench.ask(UPSTREAM_ROUNDS)
    print(json.dumps(found))


if __name__ == '__main__':
    if 'BENCH_TASKS' in os.environ:
        measure(int(os.environ['BENCH_TASKS']))
    else:
        main()
