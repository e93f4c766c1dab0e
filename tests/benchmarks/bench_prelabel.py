"""Bulk pre-labeling against a bare bulk insert, the bare model, and unmodified Label Studio with the SDK.

    python tests/benchmarks/bench_prelabel.py [rate] [upstream] [memory] [pictures] [people]

Without arguments every part runs. `LABEL_STUDIO_TEST_DATABASE=postgresql` takes a PostgreSQL of its own.

- rate: a constant text model on 20,000 tasks; asked: at least half the rate of a bare ``bulk_create`` of the same
  rows, and at most 0.05 SQL statements a prediction;
- upstream: the same model behind label-studio-ml 1.0.9, 200 tasks, *Retrieve Predictions*; asked: ours is at least
  100 times quicker. Needs BENCH_UPSTREAM_PYTHON (label-studio 1.23.2 in an environment of its own) and
  BENCH_SDK_PYTHON, else the row says "absent";
- memory: growth of the process over 100,000 tasks against 1,000; asked: at most 150 MB;
- pictures: `image_classifier` on 2,000 photos against decoding and the network alone; asked: at least 0.9;
- people: opening a task and submitting an annotation while a run goes on against idle; asked: p95 at most 1.5 times.
"""

import contextlib
import gc
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
HERE = Path(__file__).resolve().parent
PARTS = ('rate', 'upstream', 'memory', 'pictures', 'people')
TEXT_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
RESULT = [{'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['yes']}, 'score': 0.9}]
ROUNDS = 3
PEOPLE_ROUNDS, PEOPLE_TASKS = 4, 30


def prepare() -> None:
    folder = tempfile.mkdtemp(prefix='bench-prelabel-')
    os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = folder
    # What the fork stores while it works is no part of a run.
    os.environ.setdefault('ML_LOG_LEVEL', 'WARNING')
    if os.environ.get('LABEL_STUDIO_TEST_DATABASE') == 'postgresql':
        from tests.postgresql import PostgreSQL

        server = PostgreSQL()
        os.environ.update(server.environment(server.create(template='template1')))
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, cwd=ROOT)
    from label_studio.ml_host import bootstrap

    bootstrap.setup()


def make_owner():
    from label_studio.ml_host.upstream import Organization, User

    user = User.objects.create_user(email='bench@example.org', password='bench-pass')
    user.active_organization = Organization.create_organization(created_by=user, title='Bench')
    user.save()
    user.active_organization.jwt.legacy_api_tokens_enabled = True
    user.active_organization.jwt.save()
    return user


def make_project(user, config: str, data: list[dict], backend: str):
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.upstream import Project

    project = Project.objects.create(
        title='Bench', created_by=user, organization=user.active_organization, label_config=config
    )
    add_tasks(project, data)
    services.enable(project, backend, user)
    project.refresh_from_db()
    return project


def add_tasks(project, data: list[dict]) -> None:
    from label_studio.ml_host.upstream import Task

    Task.objects.bulk_create(
        (Task(project=project, data=item, inner_id=number) for number, item in enumerate(data)), batch_size=1000
    )


def texts(count: int) -> list[dict]:
    return [{'text': f'This is text number {number}, of a usual length for a review.'} for number in range(count)]


def register_constant() -> None:
    from ml_plugins import MLBackend, Prediction, Serves
    from tests.inline_plugins import register

    class Constant(MLBackend):
        serves = (Serves('Choices', 'Text'),)
        max_batch = 64

        def setup(self):
            self.control = self.label_config.control('Choices', 'Text')

        def predict(self, tasks, interaction=None):
            return [Prediction([self.control.choices('yes', score=0.9)], score=0.9) for _ in tasks]

    register('constant', Constant)


def run_to_end(project, backend: str) -> float:
    """Seconds of a whole run."""
    from label_studio.ml_host.models import PrelabelRun
    from label_studio.ml_host.prelabeling import conductor, runs, turns

    start = time.perf_counter()
    run = runs.start(project, backend)
    conductor.begin_runs()
    while turns.work_next():
        pass
    conductor.end_runs()
    seconds = time.perf_counter() - start
    run = PrelabelRun.objects.get(pk=run.pk)
    assert run.state == 'finished', (run.state, run.error)
    return seconds


def forget_predictions(project) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute('DELETE FROM prediction WHERE project_id = %s', [project.pk])


def rate(user) -> float:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from label_studio.ml_host.upstream import Prediction, Task

    count = 20_000
    project = make_project(user, TEXT_CONFIG, texts(count), 'constant')
    ids = list(Task.objects.filter(project=project).values_list('id', flat=True))
    bare, ours = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        Prediction.objects.bulk_create(
            Prediction(task_id=number, project_id=project.pk, model_version='bare', result=RESULT, score=0.9)
            for number in ids
        )
        bare.append(count / (time.perf_counter() - start))
        forget_predictions(project)
        ours.append(count / run_to_end(project, 'constant'))
        assert Prediction.objects.filter(project=project).count() == count
        forget_predictions(project)
    with CaptureQueriesContext(connection) as queries:
        run_to_end(project, 'constant')
    best, base = max(ours), max(bare)
    print(f'constant model, {count:,} tasks, {connection.vendor}: {best:,.0f} predictions/s', flush=True)
    print(f'bare bulk_create of the same rows: {base:,.0f}/s  ratio {best / base:.2f} (>= 0.5)')
    print(f'SQL statements a prediction: {len(queries) / count:.4f} (<= 0.05)', flush=True)
    return best


def upstream(ours: float) -> None:
    label_studio, sdk = os.environ.get('BENCH_UPSTREAM_PYTHON'), os.environ.get('BENCH_SDK_PYTHON')
    if not label_studio or not sdk:
        print('upstream with the SDK: absent (BENCH_UPSTREAM_PYTHON, BENCH_SDK_PYTHON)')
        return
    done = subprocess.run(
        [label_studio, str(HERE / 'peer_upstream.py'), sdk, TEXT_CONFIG], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout[-1000:] + done.stderr[-3000:])
    theirs = float(done.stdout.strip().splitlines()[-1])
    print(f'upstream with the SDK: {theirs:.1f} predictions/s  ratio {ours / theirs:,.0f} (>= 100)', flush=True)


def resident_mb() -> float:
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1024**2


def memory(user) -> None:
    small = make_project(user, TEXT_CONFIG, texts(1000), 'constant')
    large = make_project(user, TEXT_CONFIG, [], 'constant')
    # In a process of its own: what making them leaves free in this one would hide what the run takes.
    subprocess.run([sys.executable, str(Path(__file__).resolve()), 'tasks', str(large.pk), '100000'], check=True)
    run_to_end(small, 'constant')
    base = resident_mb()
    highest, ended = base, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(0.2):
            highest = max(highest, resident_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    seconds = run_to_end(large, 'constant')
    ended.set()
    watcher.join()
    print(
        f'memory over 100,000 tasks ({seconds:.0f} s): +{highest - base:.0f} MB over 1,000 tasks (<= 150)', flush=True
    )


def pictures(user) -> None:
    from django.conf import settings

    from label_studio.ml_host.models import ModelVersion, ProjectBackend
    from label_studio.ml_host.serving import host
    from ml_plugins import BackendContext, Task, VersionFiles, parse_label_config
    from ml_plugins.contrib.image_classifier.backend import ImageClassifier
    from ml_plugins.contrib.image_classifier.features import compute
    from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun, example_of
    from tests.assets import tuxpaint

    photos = tuxpaint.photos()
    count = int(os.environ.get('BENCH_PICTURES', 2000))
    config = (
        '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
        '<Choice value="a"/><Choice value="b"/></Choices></View>'
    )
    project = make_project(user, config, [], 'image_classifier')
    folder = Path(settings.MEDIA_ROOT) / 'upload' / str(project.pk)
    folder.mkdir(parents=True)
    from label_studio.ml_host.upstream import FileUpload
    from label_studio.ml_host.upstream import Task as StoredTask

    names = [f'upload/{project.pk}/{number}.png' for number in range(len(photos))]
    for name, photo in zip(names, photos, strict=True):
        (Path(settings.MEDIA_ROOT) / name).write_bytes(photo.png)
        FileUpload.objects.create(user=user, project=project, file=name)
    StoredTask.objects.bulk_create(
        StoredTask(project=project, data={'image': f'/data/{names[number % len(names)]}'}, inner_id=number)
        for number in range(count)
    )
    label_config = parse_label_config(config)
    files = MemoryFiles({f'/data/{name}': photo.png for name, photo in zip(names, photos, strict=True)})
    control = label_config.control('Choices')
    examples = [
        example_of(
            Task(number + 1, {'image': f'/data/{names[number]}'}, files=files),
            [control.choices('ab'[number % 2]).as_result()],
        )
        for number in range(8)
    ]
    run = MemoryRun(Path(tempfile.mkdtemp(prefix='bench-version-')) / 'run')
    ImageClassifier(BackendContext(label_config, device='cpu')).fit(MemoryDataset(examples), run)
    version = ModelVersion.objects.create(project=project, backend='image_classifier', number=1)
    ProjectBackend.objects.filter(project=project).update(in_service=version)
    host._version_files = lambda row: VersionFiles(row.number, run.directory)

    backend = ImageClassifier(BackendContext(label_config, version=VersionFiles(1, run.directory), device='cpu'))
    backend.setup()
    share = count // 4

    def bare() -> float:
        start = time.perf_counter()
        for first in range(0, share, backend.max_batch):
            tasks = [
                Task(number, {'image': f'/data/{names[number % len(names)]}'}, files=files)
                for number in range(first, min(share, first + backend.max_batch))
            ]
            compute(backend._model.backbone, [(task, 'image') for task in tasks])
        return share / (time.perf_counter() - start)

    compute(backend._model.backbone, [(examples[0].task, 'image')])
    # Before and after, so that a machine that gets busier in between does not decide.
    before = bare()
    ours = count / run_to_end(project, 'image_classifier')
    base = (before + bare()) / 2
    print(f'image_classifier, {count} photos: {ours:.1f}/s; decoding and network alone: {base:.1f}/s', end='')
    print(f'  ratio {ours / base:.2f} (>= 0.9)', flush=True)


def serve() -> None:
    """A web process as the launcher runs one; prints its port."""
    from label_studio.ml_host import bootstrap

    bootstrap.setup()
    from label_studio.ml_host.launcher import web
    from label_studio.ml_host.wsgi import application

    register_constant()
    server = web.listen('127.0.0.1', 0, application)
    print(server.effective_port, flush=True)
    server.run()


def make_tasks(project: str, count: str) -> None:
    from label_studio.ml_host import bootstrap

    bootstrap.setup()
    from label_studio.ml_host.upstream import Project

    add_tasks(Project.objects.get(pk=project), texts(int(count)))


def people(user) -> None:
    """A real server process that works on a run; this one opens tasks and submits annotations.

    Idle and busy rounds alternate, so that a machine that gets busier for some seconds does not decide.
    """
    import requests
    from rest_framework.authtoken.models import Token

    from label_studio.ml_host.prelabeling import runs
    from label_studio.ml_host.upstream import Task

    big = make_project(user, TEXT_CONFIG, texts(int(os.environ.get('BENCH_PEOPLE_TASKS', 300_000))), 'constant')
    small = make_project(user, TEXT_CONFIG, texts(500), 'constant')
    ids = list(Task.objects.filter(project=small).values_list('id', flat=True))
    command = [sys.executable, str(Path(__file__).resolve()), 'serve']
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(next(line for line in iter(server.stdout.readline, '') if line.strip().isdigit()))
        session = requests.Session()
        session.headers['Authorization'] = f'Token {Token.objects.get(user=user).key}'
        work = lambda number: _work_of_people(session, port, small.pk, ids, number)  # noqa: E731
        work(15)
        idle, busy = {'open': [], 'submit': []}, {'open': [], 'submit': []}
        made = seconds = 0.0
        run = runs.start(big, 'constant', user=user)
        for _ in range(PEOPLE_ROUNDS):
            time.sleep(3)
            before, start = runs.progress(type(run).objects.get(pk=run.pk)), time.perf_counter()
            _add(busy, work(PEOPLE_TASKS))
            after = runs.progress(type(run).objects.get(pk=run.pk))
            assert after.state == 'running', after.state
            made, seconds = made + after.done - before.done, seconds + time.perf_counter() - start
            runs.cancel(type(run).objects.get(pk=run.pk))
            time.sleep(3)
            _add(idle, work(PEOPLE_TASKS))
            runs.resume(type(run).objects.get(pk=run.pk))
    finally:
        server.terminate()
        server.wait(30)
    for name in ('open', 'submit'):
        base, during = (sorted(found[name])[int(0.95 * len(found[name]))] for found in (idle, busy))
        print(f'{name}: p95 idle {base:.0f} ms, during a run {during:.0f} ms', end='')
        print(f'  ratio {during / base:.2f} (<= 1.5); the run makes {made / seconds:,.0f}/s meanwhile', flush=True)


def _add(found: dict[str, list[float]], more: dict[str, list[float]]) -> None:
    for name, times in more.items():
        found[name] += times


def _work_of_people(session, port: int, project: int, ids: list[int], number: int) -> dict[str, list[float]]:
    annotation = {
        'result': [{'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['yes']}}]
    }
    times = {'open': [], 'submit': []}
    for _ in range(number):
        task = ids.pop()
        start = time.perf_counter()
        opened = session.get(f'http://127.0.0.1:{port}/api/tasks/{task}/?project={project}')
        middle = time.perf_counter()
        sent = session.post(f'http://127.0.0.1:{port}/api/tasks/{task}/annotations/', json=annotation)
        assert (opened.status_code, sent.status_code) == (200, 201), (opened.text, sent.text)
        times['open'].append(1000 * (middle - start))
        times['submit'].append(1000 * (time.perf_counter() - middle))
        time.sleep(0.05)
    return times


def main() -> None:
    parts = sys.argv[1:] or list(PARTS)
    if parts == ['serve']:
        serve()
    if parts[0] == 'tasks':
        return make_tasks(*parts[1:])
    with contextlib.redirect_stdout(io.StringIO()):
        prepare()
    user = make_owner()
    register_constant()
    ours = rate(user) if {'rate', 'upstream'} & set(parts) else 0.0
    if 'upstream' in parts:
        upstream(ours)
    if 'memory' in parts:
        memory(user)
    if 'pictures' in parts:
        pictures(user)
    if 'people' in parts:
        people(user)


if __name__ == '__main__':
    main()
    sys.stdout.flush()
    os._exit(0)
