"""Labels saved by active learning, through a real `label-studio start`.

    python tests/benchmarks/bench_simulated_annotators.py [digits] [hurried] [stale] [team]

Without arguments every part runs. Simulated annotators ask the API for the next task and submit what scikit-learn says
is right. A plugin in the server learns by a logistic regression on the pixels in the task's data. For each seed 30 % of
the digits are never imported; what a logistic regression that learned from the labels submitted so far says about
those is the accuracy. Labels that the server holds out for measuring are among the labels that are paid for.
`BENCH_SEEDS` (10), `BENCH_BATCH` (50), the tasks that are chosen ahead, and `BENCH_DATABASE`, a migrated SQLite file to
start from, can be set.

- digits: *Automatic*, a version every 10 labels. After each ten the annotator waits until the version is in service
  and the queue is chosen by it, as one who thinks for a few seconds about each task would not have to. Asked: 0.90 with
  at most 90 labels, 0.95 with at most 190, and at least 0.60 with the first ten. Random tasks beside it.
- hurried: the same, but nobody waits for anything.
- stale: no version between 10 and 110 labels; asked: at least 0.86 at 110 labels.
- team: 8 annotators take and submit `BENCH_EACH` (500) tasks each at the same time, of 6,000 whose usefulness is known;
  asked: no error, no task twice, and a mean usefulness of at least 0.95 of what the best 4,000 have.
"""

import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np
import requests

from tests.benchmarks import digits_plugin, team
from tests.e2e.server import Server

PARTS = ('digits', 'hurried', 'stale', 'team')
SEEDS = range(int(os.environ.get('BENCH_SEEDS', 10)))
BATCH = int(os.environ.get('BENCH_BATCH', 50))
BACKEND = 'digits_model'
ANNOTATORS = 4
PEOPLE, EACH, TASKS = 8, int(os.environ.get('BENCH_EACH', 500)), 6000
CONFIG = '<View><Text name="text" value="$text"/><Choices name="digit" toName="text">{}</Choices></View>'.format(
    ''.join(f'<Choice value="{digit}"/>' for digit in range(10))
)
EVERY, MOST, STALE = 10, 190, 110
PATIENCE = 180.0


@dataclass
class Digits:
    """Digits of one seed: those that are imported, and those that nobody sees.

    Attributes:
        features: Of all digits.
        imported: Rows, in the order of the import.
        held_out: Rows.
    """

    features: np.ndarray
    answers: np.ndarray
    imported: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(cls, seed: int) -> 'Digits':
        from sklearn.datasets import load_digits

        data = load_digits()
        order = np.random.default_rng(seed).permutation(len(data.target))
        cut = int(0.7 * len(order))
        return cls(data.data.astype(np.float32), data.target, order[:cut], order[cut:])

    def accuracy(self, rows: list[int]) -> float:
        """Share of the digits that nobody sees which a model gets right that learned from these."""
        from ml_plugins.strategies.heads import logistic

        classify = logistic(self.features[rows] / 16, self.answers[rows], 10)
        said = classify(self.features[self.held_out] / 16).argmax(axis=1)
        return float((said == self.answers[self.held_out]).mean())


@dataclass
class Labeled:
    """What came of one annotator's work.

    Attributes:
        curve: Accuracy by number of labels.
        waits: Seconds from the last label of a batch until the queue is chosen by the version that knows it.
        sources: How many tasks came from where, in the words of the label stream.
    """

    curve: dict[int, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)

    def labels_to(self, accuracy: float) -> int | None:
        """The first number of labels with that accuracy."""
        return next((labels for labels, value in sorted(self.curve.items()) if value >= accuracy), None)


class Annotator:
    """Somebody who labels a project of his own through the API."""

    def __init__(self, server: Server, session: requests.Session, seed: int, strategy: str) -> None:
        self.server, self.session, self.digits = server, session, Digits.of(seed)
        self.project = self.call('POST', '/api/projects/', {'title': f'{strategy} {seed}', 'label_config': CONFIG})[
            'id'
        ]
        tasks = [
            {'text': f'Digit {row}', 'row': int(row), 'pixels': self.digits.features[row].astype(int).tolist()}
            for row in self.digits.imported
        ]
        self.call('POST', f'/api/projects/{self.project}/import', tasks)
        self.backend = f'/api/projects/{self.project}/ml-backends/{BACKEND}/'
        self.rows: list[int] = []
        self.found = Labeled()
        self.strategy = strategy
        sampling = {'on': True, 'strategy': strategy, 'batch': BATCH, 'seed': seed}
        # An annotator is served what the model chose; predictions play no part.
        self.call('PATCH', f'/api/projects/{self.project}/', {'show_collab_predictions': False})
        self.call('PATCH', self.backend, {'enabled': True, 'sampling': sampling})

    def call(self, method: str, path: str, content: object = None) -> dict:
        answer = self.session.request(method, self.server.url + path, json=content)
        assert answer.status_code < 300, f'{method} {path}: {answer.status_code} {answer.text[:500]}'
        return answer.json()

    def learn(self, after_labels: int) -> None:
        """Have a version trained every so many labels."""
        learning = {'on': True, 'after_labels': after_labels, 'every_minutes': 0}
        self.call('PATCH', self.backend, {'learning': learning})

    def label(self, count: int) -> None:
        """Label some tasks as they come."""
        for _ in range(count):
            task = self.call('GET', f'/api/projects/{self.project}/next/')
            words = re.sub(r' \(.*', '', task['queue'])
            self.found.sources[words] = self.found.sources.get(words, 0) + 1
            row = task['data']['row']
            answer = str(self.digits.answers[row])
            region = {'from_name': 'digit', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [answer]}}
            self.call('POST', f'/api/tasks/{task["id"]}/annotations/', {'result': [region], 'lead_time': 3})
            self.rows.append(row)
        self.found.curve[len(self.rows)] = self.digits.accuracy(self.rows)

    def state(self) -> dict:
        """How the backend stands."""
        return self.call('GET', self.backend)

    def wait_for_choice(self, made: int) -> None:
        """Until so many versions are made, and the queue is chosen by the one in service.

        That is the newest one unless the server held it back because it is worse.
        """
        began = time.monotonic()
        while not self.is_chosen(made):
            if time.monotonic() - began > PATIENCE:
                raise AssertionError(f'{made} versions: {json.dumps(self.state())}\n{self.server.output[-3000:]}')
            time.sleep(0.1)
        self.found.waits.append(time.monotonic() - began)

    def is_chosen(self, made: int) -> bool:
        """Whether the queue is chosen by the version in service, of so many that there are."""
        if max((item['number'] for item in self.call('GET', f'{self.backend}versions/')), default=0) < made:
            return False
        state = self.state()
        return state['sampling']['scored_version'] == f'{BACKEND}-v{state["version_in_service"] or 0}'


def patient(annotator: Annotator, labels: int = MOST) -> Labeled:
    """A version every ten labels, waited for."""
    annotator.learn(EVERY)
    annotator.wait_for_choice(0)
    while len(annotator.rows) < labels:
        annotator.label(EVERY)
        if len(annotator.rows) < labels:
            annotator.wait_for_choice(len(annotator.rows) // EVERY)
    return annotator.found


def hurried(annotator: Annotator, labels: int = MOST) -> Labeled:
    """A version every ten labels, whenever it comes."""
    annotator.learn(EVERY)
    annotator.wait_for_choice(0)
    while len(annotator.rows) < labels:
        annotator.label(EVERY)
    return annotator.found


def stale(annotator: Annotator, labels: int = STALE) -> Labeled:
    """One version after ten labels, and none until 110."""
    annotator.learn(EVERY)
    annotator.wait_for_choice(0)
    annotator.label(EVERY)
    annotator.wait_for_choice(1)
    annotator.learn(100)
    while len(annotator.rows) < labels:
        annotator.label(EVERY)
    return annotator.found


def blind(annotator: Annotator, labels: int = MOST) -> Labeled:
    """No learning."""
    while len(annotator.rows) < labels:
        annotator.label(EVERY)
    return annotator.found


class Bench:
    """One server, and annotators who work beside each other."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix='bench-annotators-'))
        site = digits_plugin.install(self.folder / 'site')
        team.install(site)
        (self.folder / 'data').mkdir()
        # Preparing an empty database takes a minute, and is not what is measured.
        if database := os.environ.get('BENCH_DATABASE'):
            shutil.copy(database, self.folder / 'data' / 'label_studio.sqlite3')
        self.server = Server(self.folder / 'data', environment={'PYTHONPATH': str(site)}).wait_until_ready()
        self.sessions = threading.local()

    def run(self, work, strategy: str, seeds=SEEDS, **more) -> list[Labeled]:
        """What each seed came to."""

        def one(seed: int) -> Labeled:
            if not hasattr(self.sessions, 'own'):
                self.sessions.own = self.server.login()
            annotator = Annotator(self.server, self.sessions.own, seed, strategy)
            found = work(annotator, **more)
            # Its trainings shall not slow down what comes after.
            annotator.call('PATCH', annotator.backend, {'enabled': False})
            return found

        with ThreadPoolExecutor(ANNOTATORS) as pool:
            return list(pool.map(one, seeds))

    def stop(self) -> None:
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def report(name: str, found: list[Labeled]) -> dict[int, float]:
    """Print the mean curve, and give it back."""
    labels = sorted(set.intersection(*(set(item.curve) for item in found)))
    curve = {count: statistics.mean(item.curve[count] for item in found) for count in labels}
    reached = {share: next((count for count in labels if curve[count] >= share), None) for share in (0.90, 0.95)}
    shown = ', '.join(f'{count}: {curve[count]:.3f}' for count in labels if count in (10, 30, 50, 90, 110, 150, 190))
    print(f'{name}: 0.90 with {reached[0.90]}, 0.95 with {reached[0.95]} labels; {shown}')
    waits = sorted(wait for item in found for wait in item.waits)
    if waits:
        print(f'{name}: chosen anew {waits[len(waits) // 2]:.1f} s after the last label (median; most {waits[-1]:.1f})')
    sources: dict[str, int] = {}
    for item in found:
        for words, count in item.sources.items():
            sources[words] = sources.get(words, 0) + count
    print(f'{name}: served from {sources}', flush=True)
    return curve | {share: count for share, count in reached.items()}


def verdict(what: str, value: float | None, asked: float, at_most: bool) -> None:
    is_reached = value is not None and (value <= asked if at_most else value >= asked)
    sign = '<=' if at_most else '>='
    print(f'{what}: {value} (asked: {sign} {asked}) {"reached" if is_reached else "NOT REACHED"}', flush=True)


def digits(bench: Bench) -> None:
    curve = report('automatic', bench.run(patient, 'automatic'))
    report('random', bench.run(blind, 'random'))
    verdict('labels to 0.90', curve[0.90], 90, True)
    verdict('labels to 0.95', curve[0.95], 190, True)
    verdict('accuracy at 10 labels', round(curve[10], 3), 0.60, False)


def in_a_hurry(bench: Bench) -> None:
    report('automatic, nobody waits', bench.run(hurried, 'automatic'))


def rarely(bench: Bench) -> None:
    curve = report('automatic, a version every 100 labels', bench.run(stale, 'automatic'))
    verdict('accuracy at 110 labels', round(curve[110], 3), 0.86, False)


def at_once(bench: Bench) -> None:
    people = team.Team(bench.server, bench.server.login(), PEOPLE, TASKS)
    began = time.monotonic()
    served = people.label(EACH)
    seconds = sorted(served.seconds)
    print(
        f'team: {len(served.priorities)} tasks served in {time.monotonic() - began:.0f} s, next p50 '
        f'{1000 * seconds[len(seconds) // 2]:.0f} ms, p95 {1000 * seconds[int(0.95 * len(seconds))]:.0f} ms, '
        f'from {dict(served.sources)}'
    )
    for error in served.errors[:5]:
        print(f'team: {error}')
    verdict('errors', len(served.errors), 0, True)
    verdict('most people who were given the same task', served.most_of_a_task, 1, True)
    verdict('share of the ideal usefulness', round(people.share_of_ideal(served), 4), 0.95, False)


def main(parts: list[str]) -> None:
    bench = Bench()
    try:
        for part in parts or PARTS:
            {'digits': digits, 'hurried': in_a_hurry, 'stale': rarely, 'team': at_once}[part](bench)
    finally:
        bench.stop()


if __name__ == '__main__':
    main(sys.argv[1:])
