"""Active learning, measured.

    python tests/benchmarks/bench_active_learning.py [digits] [stale] [advice] [large]

Without arguments every part runs. Everything happens in this process, on scikit-learn's digits, with a logistic
regression, 30 % of the digits held out, and the means of `BENCH_SEEDS` (10) seeds.

- digits: *Automatic* beside random, batches of 10: labels to 0.90 (asked: at most 90) and 0.95 (at most 190), and the
  accuracy at 10 labels (at least 0.60).
- stale: a model every 100 labels only: accuracy at 110 labels (asked: at least 0.86), beside margin and random.
- advice: how often "the next 100 labels will bring about +x points" is within a point of what they brought, in rounds
  from 100 to 300 labels (asked: 80 %), and how often inside its interval.
- large: scores and a batch of 100 out of `BENCH_TASKS` (100,000) tasks with embeddings of 128 numbers.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from ml_plugins.strategies import Arm, Labeled, Pool, ReplayData, choose, forecast_gain, run_replay, strategy
from ml_plugins.strategies.exploring import checked_scores
from ml_plugins.strategies.gain import Measured

PARTS = ('digits', 'stale', 'advice', 'large')
SEEDS = tuple(range(int(os.environ.get('BENCH_SEEDS', 10))))
TASKS = int(os.environ.get('BENCH_TASKS', 100_000))


def digits_data() -> ReplayData:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return ReplayData((digits.data / 16).astype(np.float32), digits.target)


def verdict(value, asked, at_most: bool) -> str:
    reached = value is not None and (value <= asked if at_most else value >= asked)
    return f'{"reached" if reached else "NOT REACHED"} (asked: at {"most" if at_most else "least"} {asked})'


def digits() -> None:
    arms = [Arm(name, strategy(name)) for name in ('automatic', 'random')]
    report = run_replay(digits_data(), arms, SEEDS, most_labels=400)
    for curve in report.curves:
        first = curve.at(10)
        print(
            f'digits: {curve.arm}: {first.accuracy:.3f} ({first.low:.3f} to {first.high:.3f}) at 10 labels, '
            f'0.90 with {curve.labels_to(0.90)}, 0.95 with {curve.labels_to(0.95)}, area {curve.area:.3f}'
        )
    automatic = report.curve('automatic')
    print(f'digits: labels to 0.90: {verdict(automatic.labels_to(0.90), 90, True)}')
    print(f'digits: labels to 0.95: {verdict(automatic.labels_to(0.95), 190, True)}')
    print(f'digits: accuracy at 10 labels: {verdict(round(automatic.at(10).accuracy, 3), 0.60, False)}')


def stale() -> None:
    arms = [Arm(name, strategy(name), every=100) for name in ('automatic', 'cluster_margin', 'margin', 'random')]
    report = run_replay(digits_data(), arms, SEEDS, most_labels=110)
    for curve in report.curves:
        last = curve.at(110)
        print(f'stale: {curve.arm}: {last.accuracy:.3f} ({last.low:.3f} to {last.high:.3f}) at 110 labels')
    automatic = round(report.curve('automatic').at(110).accuracy, 3)
    print(f'stale: automatic at 110 labels: {verdict(automatic, 0.86, False)}')


def advice() -> None:
    report = run_replay(digits_data(), [Arm('automatic', strategy('automatic'))], SEEDS, most_labels=400)
    curve = report.curve('automatic')
    labels, near, inside = [point.labels for point in curve.points], [], []
    for run in curve.runs:
        errors = np.sqrt(run * (1 - run) / (0.3 * 1797))
        points = [Measured(*point) for point in zip(labels, run, errors, strict=True)]
        for now in range(labels.index(100), labels.index(300) + 1):
            forecast, brought = forecast_gain(points[: now + 1], 100), run[now + 10] - run[now]
            near.append(abs(forecast.gain - brought) <= 0.01)
            inside.append(forecast.low <= brought <= forecast.high)
    print(
        f'advice: within a point in {np.mean(near):.2f} of {len(near)} rounds, in the interval in {np.mean(inside):.2f}'
    )
    print(f'advice: within a point: {verdict(round(float(np.mean(near)), 2), 0.8, False)}')
    # The rule of thumb that the fit is held against.
    runs = np.array(curve.runs)
    flat = np.abs(
        runs[:, labels.index(200) : labels.index(400) + 1] - runs[:, labels.index(100) : labels.index(300) + 1]
    )
    print(f'advice: "no gain at all" would be within a point in {np.mean(flat <= 0.01):.2f}')


def large() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'embeddings'
        rows = np.memmap(path, dtype=np.float16, mode='w+', shape=(TASKS, 128))
        centres = rng.normal(size=(30, 128)).astype(np.float32)
        for start in range(0, TASKS, 10_000):
            part = rows[start : start + 10_000]
            part[:] = centres[rng.integers(0, 30, len(part))] + rng.standard_normal(part.shape)
        rows.flush()
        del rows, part
        rows = np.memmap(path, dtype=np.float16, mode='r', shape=(TASKS, 128))
        probabilities = rng.dirichlet(np.ones(10), TASKS).astype(np.float32)
        pool = Pool(np.arange(TASKS), {'label': probabilities}, rows)
        labeled = Labeled(np.arange(500), {'label': list(rng.integers(0, 10, 500))}, rng.normal(size=(500, 128)))
        for name in ('margin', 'power', 'cluster_margin', 'automatic', 'badge', 'core_set', 'typiclust'):
            begun = time.perf_counter()
            scores = checked_scores(strategy(name), pool, labeled, rng)
            scored = time.perf_counter()
            choose(strategy(name), pool, labeled, 100, rng, scores=scores)
            took = scored - begun, time.perf_counter() - scored
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            times = f'{TASKS} tasks scored in {took[0]:.2f} s, 100 chosen in {took[1]:.2f} s'
            print(f'large: {name}: {times}, peak {peak:.0f} MB')


if __name__ == '__main__':
    for part in sys.argv[1:] or PARTS:
        globals()[part]()
