"""Scoring and choosing tasks in the background: how long it takes and what memory the web process needs for it.

    python tests/benchmarks/bench_sampling.py [rescore] [memory]

Without arguments both parts run. `LABEL_STUDIO_TEST_DATABASE=postgresql` takes a PostgreSQL of its own;
`BENCH_DATABASE` is a migrated SQLite file to start from.

- rescore: 100,000 tasks with ready probabilities of 10 classes and embeddings of 128 numbers are scored, and a batch is
  chosen, after another version went into service; asked: under 30 s. All the while somebody asks for the next task;
  asked: p95 at most 1.5 times that of before. Then a queue that runs low is filled;
- memory: 1,000,000 tasks with embeddings of 128 numbers; asked: the process that serves grows by less than 200 MB.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
PARTS = ('rescore', 'memory')
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    + ''.join(f'<Choice value="c{number}"/>' for number in range(10))
    + '</Choices></View>'
)
CLASSES, WIDTH, CHUNK = 10, 128, 10_000


def prepare() -> None:
    folder = os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = tempfile.mkdtemp(prefix='bench-sampling-')
    if database := os.environ.get('BENCH_DATABASE'):
        shutil.copy(database, Path(folder) / 'label_studio.sqlite3')
    os.environ.setdefault('ML_LOG_LEVEL', 'WARNING')
    if os.environ.get('LABEL_STUDIO_TEST_DATABASE') == 'postgresql':
        from tests.postgresql import PostgreSQL

        server = PostgreSQL()
        os.environ.update(server.environment(server.create(template='template1')))
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, cwd=ROOT)
    from label_studio.ml_host import bootstrap

    bootstrap.setup()


def make_plan(count: int):
    """A project with tasks that version 0 has answered, and active learning."""
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.models import SamplingPlan
    from label_studio.ml_host.upstream import Organization, Project, User
    from ml_plugins import MLBackend, Serves
    from tests.inline_plugins import register

    class Silent(MLBackend):
        serves = (Serves('Choices', 'Text'),)

        def predict(self, tasks, interaction=None):
            return [None for _ in tasks]

    register('silent', Silent)
    name = f'bench-{count}'
    user = User.objects.create_user(email=f'{name}@example.org', password='bench-pass')
    user.active_organization = Organization.create_organization(created_by=user, title=name)
    user.save()
    project = Project.objects.create(
        title=name, created_by=user, organization=user.active_organization, label_config=CONFIG
    )
    services.enable(project, 'silent', user)
    copy_task(project, count)
    return SamplingPlan.objects.create(project=project, backend='silent', enabled=True, seed=1)


def copy_task(project, count: int) -> None:
    """Many tasks by one statement: how they came is not what is measured."""
    from django.db import connection

    from label_studio.ml_host.upstream import Task

    first = Task.objects.create(project=project, data={'text': 'A text of a usual length for a review.'})
    columns = [f'"{field.column}"' for field in Task._meta.concrete_fields if not field.primary_key]
    names = ', '.join(columns)
    if connection.vendor == 'sqlite':
        numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) '
        source = 'n'
    else:
        numbers, source = '', 'generate_series(1, %s) AS n(i)'
    with connection.cursor() as cursor:
        cursor.execute(
            f'{numbers}INSERT INTO task ({names}) SELECT {names} FROM {source}, task WHERE task.id = %s'
            if connection.vendor != 'sqlite'
            else f'{numbers}INSERT INTO task ({names}) SELECT {names} FROM task, {source} WHERE task.id = %s',
            [count - 1, first.pk],
        )


def answer(plan, label: str, seed: int) -> None:
    """What a model would have said, in the answer store."""
    from label_studio.ml_host.sampling import homes, tasks
    from label_studio.ml_host.sampling.rows import Rows

    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, WIDTH))
    store = homes.store_of(plan.project_id, label)
    # The model has not come to all of them yet.
    ids = tasks.unlabeled(plan.project_id)
    ids = ids[: len(ids) * 9 // 10]
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        kinds = rng.integers(CLASSES, size=len(some))
        embeddings = (centres[kinds] + rng.normal(size=(len(some), WIDTH))).astype(np.float16)
        probabilities = rng.dirichlet(np.ones(CLASSES) / 2, len(some)).astype(np.float16)
        store.append(
            Rows(some, np.full(len(some), time.time_ns()), {'p:choice': probabilities, 'embedding': embeddings})
        )
    print(f'  answers of {label}: {store.size / 2**20:.0f} MiB')


def put_in_service(plan) -> None:
    from label_studio.ml_host.models import ModelVersion, ProjectBackend

    version = ModelVersion.objects.create(
        project=plan.project, backend='silent', number=1, directory=f'silent-{plan.pk}', digest='0' * 64
    )
    ProjectBackend.objects.filter(project=plan.project_id).update(in_service=version)


def memory(key: str = 'VmRSS') -> float:
    """MB of this process alone; what it maps of files counts here, too."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f'{key}:'))


class Highest(threading.Thread):
    """Watches the memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.found = memory()
        self.is_over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_over.wait(0.02):
            self.found = max(self.found, memory())

    def stop(self) -> float:
        self.is_over.set()
        self.join()
        return self.found - self.before


class Asker:
    """Somebody who asks for a task again and again, as the web server would answer him."""

    def __init__(self, plan) -> None:
        from rest_framework.test import APIClient

        self.project, self.client = plan.project_id, APIClient()
        self.client.force_authenticate(plan.project.created_by)

    def ask(self) -> float:
        """Milliseconds of one request, for a task that he was not given before."""
        from label_studio.ml_host.prelabeling.courtesy import someone_waits
        from label_studio.ml_host.upstream import TaskLock

        TaskLock.objects.filter(user=self.client.handler._force_user).delete()
        began = time.perf_counter()
        with someone_waits():
            answer = self.client.get(f'/api/projects/{self.project}/next/')
        assert answer.status_code == 200, answer.content
        return 1000 * (time.perf_counter() - began)

    def while_it_goes_on(self, action) -> list[float]:
        """Ask until something in another thread has ended."""
        times: list[float] = []
        thread = threading.Thread(target=action)
        thread.start()
        while thread.is_alive():
            times.append(self.ask())
            # One who labels does not ask all the time.
            thread.join(0.1)
        return times


def p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def beside_people(plan, kept) -> tuple[float, float, float]:
    """Seconds until everything is scored anew while somebody asks for tasks, and p95 of that: alone and beside it."""
    from django.db import connection

    from label_studio.ml_host.models import SamplingPlan

    asker = Asker(plan)
    for _ in range(5):
        asker.ask()
    alone = asker.while_it_goes_on(lambda: time.sleep(10))
    SamplingPlan.objects.filter(pk=plan.pk).update(scored_at=None)
    # It would rest now, as it does between two looks at so many tasks.
    kept._memories.clear()
    took = []

    def score() -> None:
        began = time.perf_counter()
        outcome = kept.look_at(SamplingPlan.objects.get(pk=plan.pk))
        took.append(time.perf_counter() - began)
        assert outcome is not None and not outcome.reason, outcome
        connection.close()

    beside = asker.while_it_goes_on(score)
    return took[0], p95(alone), p95(beside)


def choose_anew(count: int, is_shared: bool = False) -> tuple[float, ...]:
    """Seconds until everything is scored and a batch chosen, seconds to fill a queue, and MB that were needed.

    Args:
        is_shared: Also what `beside_people` says.
    """
    from label_studio.ml_host.models import SampledTask, SamplingPlan, TaskScore
    from label_studio.ml_host.sampling import keeper

    plan = make_plan(count)
    answer(plan, 'silent-v1', 1)
    put_in_service(plan)
    plan = SamplingPlan.objects.get(pk=plan.pk)
    kept = keeper.Keeper()
    # It is there already while people work.
    kept._scorer._start()
    highest = Highest()
    start = time.perf_counter()
    outcome = kept.look_at(plan)
    anew = time.perf_counter() - start
    assert (outcome.known, outcome.added, outcome.reason) == (count * 9 // 10, plan.batch, ''), outcome
    assert TaskScore.objects.filter(project=plan.project_id).count() == count * 9 // 10
    SampledTask.objects.filter(project=plan.project_id, position__lte=30).delete()
    start = time.perf_counter()
    assert kept.look_at(plan).added == plan.batch
    filled = time.perf_counter() - start
    grown = highest.stop()
    shared = beside_people(plan, kept) if is_shared else ()
    kept.close()
    return anew, filled, grown, *shared


def rescore() -> bool:
    anew, filled, _, shared, alone, beside = choose_anew(100_000, is_shared=True)
    print(f'rescore: {anew:.1f} s for 100,000 tasks (asked: < 30), {filled:.1f} s to fill a queue')
    print(
        f'rescore: {shared:.1f} s beside somebody who asks for tasks; next p95 {beside:.0f} ms, {alone:.0f} ms before: '
        f'{beside / alone:.2f} times (asked: <= 1.5)'
    )
    return max(anew, shared) < 30 and beside <= 1.5 * alone


def much() -> bool:
    anew, filled, grown = choose_anew(1_000_000)
    print(f'memory: +{grown:.0f} MB at 1,000,000 x {WIDTH} (asked: < 200); {anew:.0f} s, a queue {filled:.1f} s')
    return grown < 200


def main(parts: list[str]) -> int:
    prepare()
    found = [{'rescore': rescore, 'memory': much}[part]() for part in parts or PARTS]
    return 0 if all(found) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
