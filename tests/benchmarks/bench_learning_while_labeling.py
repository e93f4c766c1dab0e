"""What annotators feel of online learning, in a real `label-studio start`.

    python tests/benchmarks/bench_learning_while_labeling.py [submit] [latency] [burst]

Without arguments every part runs. `LABEL_STUDIO_TEST_DATABASE=postgresql` takes a PostgreSQL of its own. The model
keeps a processor busy while it trains, for 1.5 s, in the first part for 10 s.

- submit: 8 annotators submit at the same time; rounds with online learning and trainings all the time take turns with
  rounds without; asked: p95 at most 1.2 times;
- latency: from the submission that starts a training to the first prediction of the new version, less the training
  itself; asked: at most 2 s;
- burst: 5,000 submissions as fast as 8 annotators can; asked: no error, and never more than 2 runs that wait or train.
"""

import http.client
import itertools
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

PARTS = ('submit', 'latency', 'burst')
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
ANNOTATORS = 8
ROUNDS, ROUND_SECONDS, THINK_SECONDS = 4, float(os.environ.get('BENCH_SECONDS', 15)), 0.5
BURST = int(os.environ.get('BENCH_BURST', 5000))
BACKEND = 'busy_learner'

APPS = """
from ml_plugins import MLBackendConfig


class BusyConfig(MLBackendConfig):
    name = 'busy_learner'
    backend = 'busy_learner.backend:BusyLearner'
"""
MODEL = """
import time
from ml_plugins import MLBackend, Param, Prediction, Serves


class BusyLearner(MLBackend):
    serves = (Serves('Choices', 'Text'),)
    params = (Param('seconds', 1.5, 'How long it computes.'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Text')
        return [Prediction([control.choices('yes', score=0.9)], score=0.9) for _ in tasks]

    def fit(self, dataset, run):
        labeled = sum(1 for _ in dataset.train)
        end = time.process_time() + self.param_values['seconds']
        while time.process_time() < end:
            sum(range(10000))
        (run.directory / 'labels').write_text(str(labeled))
        return {'labels': float(labeled)}
"""


def install(folder: Path) -> Path:
    package = folder / BACKEND
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'apps.py').write_text(APPS, encoding='utf-8')
    (package / 'backend.py').write_text(MODEL, encoding='utf-8')
    metadata = folder / f'{BACKEND}-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: busy-learner\nVersion: 1.0\n', encoding='utf-8')
    (metadata / 'entry_points.txt').write_text(
        f'[label_studio.ml_backends]\n{BACKEND} = {BACKEND}.apps:BusyConfig\n', encoding='utf-8'
    )
    return folder


class People:
    """A project of a running server, and what annotators do there."""

    def __init__(self, server) -> None:
        self.server = server
        self.session = server.login()
        made = self.call('POST', '/api/projects/', title='Bench', label_config=CONFIG)
        self.project = made['id']
        self.backend = f'/api/projects/{self.project}/ml-backends/{BACKEND}/'
        self.call('PATCH', self.backend, enabled=True)
        self.tasks: list[int] = []

    def call(self, method: str, path: str, **body):
        answer = self.session.request(method, f'{self.server.url}{path}', json=body or None, timeout=120)
        assert answer.ok, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def add_tasks(self, count: int) -> None:
        for first in range(0, count, 2000):
            body = [{'data': {'text': f'text {number}'}} for number in range(first, min(count, first + 2000))]
            path = f'{self.server.url}/api/projects/{self.project}/import?return_task_ids=true'
            answer = self.session.post(path, json=body, timeout=300)
            assert answer.ok, answer.text[:500]
            self.tasks += answer.json()['task_ids']

    def learn(self, on: bool) -> None:
        self.call('PATCH', self.backend, learning={'on': on, 'after_labels': 10, 'every_minutes': 0})

    def runs(self) -> list[dict]:
        return self.call('GET', f'{self.backend}runs/')

    def newest_run(self) -> int:
        return max((run['id'] for run in self.runs()), default=0)

    def wait_until_idle(self) -> None:
        # A training that is due starts within a second.
        quiet = 0
        while quiet < 8:
            quiet = quiet + 1 if all(run['state'] not in ('queued', 'running') for run in self.runs()) else 0
            time.sleep(0.25)

    def label(self, count: int | None = None, seconds: float = 0.0, think: float = 0.0) -> list[float]:
        """Annotators at work, until so many are submitted or so much time is over; seconds of each submission."""
        times: list[float] = []
        errors: list[str] = []
        mine = [self.tasks.pop() for _ in range(count or int(ANNOTATORS * seconds / max(think, 0.01)) + ANNOTATORS)]
        turn, end = itertools.count(), time.monotonic() + (seconds or 3600)
        cookies = '; '.join(f'{name}={value}' for name, value in self.session.cookies.items())
        headers = {'Cookie': cookies, 'X-CSRFToken': self.session.headers['X-CSRFToken']}
        headers |= {'Content-Type': 'application/json', 'Referer': self.server.url}
        region = {'from_name': 'choice', 'to_name': 'text', 'type': 'choices'}

        def annotate(number: int) -> None:
            connection = http.client.HTTPConnection('localhost', self.server.port)
            time.sleep(think * number / ANNOTATORS)
            while (place := next(turn)) < len(mine) and time.monotonic() < end:
                result = [{**region, 'value': {'choices': [('yes', 'no')[place % 2]]}}]
                start = time.perf_counter()
                body = json.dumps({'result': result})
                connection.request('POST', f'/api/tasks/{mine[place]}/annotations/', body, headers)
                answer = connection.getresponse()
                content = answer.read()
                times.append(time.perf_counter() - start)
                if answer.status != 201:
                    errors.append(f'{answer.status} {content[:300]!r}')
                time.sleep(think)

        threads = [threading.Thread(target=annotate, args=[number]) for number in range(ANNOTATORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, f'{len(errors)} submissions failed: {errors[:3]}'
        return times


def p95(times: list[float]) -> float:
    return 1000 * sorted(times)[int(0.95 * len(times))]


def submit(people: People) -> None:
    people.add_tasks(int(2.2 * ROUNDS * ANNOTATORS * ROUND_SECONDS / THINK_SECONDS) + 200)
    people.label(seconds=5, think=THINK_SECONDS)
    people.call('PATCH', people.backend, params={'seconds': 10.0})
    found: dict[bool, list[float]] = {False: [], True: []}
    trained = 0
    for _ in range(ROUNDS):
        for on in (False, True):
            people.learn(on)
            before = people.newest_run()
            found[on] += people.label(seconds=ROUND_SECONDS, think=THINK_SECONDS)
            trained += people.newest_run() - before
            people.learn(False)
            people.wait_until_idle()
    people.call('PATCH', people.backend, params={})
    learning, plain = p95(found[True]), p95(found[False])
    print(
        f'submit, {len(found[True])} by {ANNOTATORS} annotators: p95 {learning:.0f} ms with {trained} trainings, '
        f'{plain:.0f} ms without  ratio {learning / plain:.2f} (<= 1.2)',
        flush=True,
    )


def latency(people: People) -> None:
    people.add_tasks(200)
    shown = people.tasks[0]
    seconds = []
    for _ in range(6):
        people.learn(True)
        people.wait_until_idle()
        before = people.call('GET', people.backend)['version_in_service'] or 0
        people.label(count=10)
        start = time.perf_counter()
        wanted = f'{BACKEND}-v{before + 1}'
        while True:
            predictions = people.call('GET', f'/api/tasks/{shown}/')['predictions']
            if any(item['model_version'] == wanted for item in predictions):
                break
            assert time.perf_counter() - start < 60, f'{wanted} predicts nothing'
            time.sleep(0.02)
        whole = time.perf_counter() - start
        run = next(run for run in people.runs() if run['version'] == before + 1)
        seconds.append(whole - _seconds(run))
    print(
        f'from a submission to the first prediction of the new version, less the training: '
        f'median {sorted(seconds)[len(seconds) // 2]:.2f} s, longest {max(seconds):.2f} s (<= 2)',
        flush=True,
    )


def _seconds(run: dict) -> float:
    from datetime import datetime

    started, ended = (datetime.fromisoformat(run[name].replace('Z', '+00:00')) for name in ('started_at', 'ended_at'))
    return (ended - started).total_seconds()


def burst(people: People) -> None:
    people.add_tasks(BURST)
    people.learn(True)
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.1):
            most = max(most, sum(run['state'] in ('queued', 'running') for run in people.runs()))

    watcher = threading.Thread(target=watch)
    before = people.newest_run()
    watcher.start()
    start = time.perf_counter()
    times = people.label(count=BURST)
    took = time.perf_counter() - start
    ended.set()
    watcher.join()
    people.learn(False)
    people.wait_until_idle()
    print(
        f'{len(times)} submissions in {took:.0f} s, no error; {people.newest_run() - before} trainings, '
        f'at most {most} at a time waiting or running (<= 2)',
        flush=True,
    )


def main() -> None:
    parts = sys.argv[1:] or list(PARTS)
    from tests.e2e.server import Server

    folder = Path(tempfile.mkdtemp(prefix='bench-learning-'))
    data = folder / 'data'
    data.mkdir()
    environment = {'PYTHONPATH': os.pathsep.join([str(install(folder / 'site')), str(ROOT)]), 'ML_WORKERS': '1'}
    postgresql = None
    if os.environ.get('LABEL_STUDIO_TEST_DATABASE') == 'postgresql':
        from tests.postgresql import PostgreSQL

        postgresql = PostgreSQL()
        environment |= postgresql.environment(postgresql.create(template='template1'))
    server = Server(data, environment=environment)
    try:
        people = People(server.wait_until_ready(400))
        for part in parts:
            {'submit': submit, 'latency': latency, 'burst': burst}[part](people)
    finally:
        server.stop()
        if postgresql is not None:
            postgresql.stop()


if __name__ == '__main__':
    main()
