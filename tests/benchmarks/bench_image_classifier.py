"""How well and how fast the image classifier learns from 100 real photos, with nothing cached.

    python tests/benchmarks/bench_image_classifier.py [splits]

The photos are Tux Paint's cut-outs on white, about 265 of seven classes; 100 are drawn at random as labeled, the rest
is held out. Asked: held-out accuracy of at least 0.85, and a run under 60 s on two cores. One split of this size says
little (165 photos: plus or minus 0.05), so several are run and their mean is what counts. Features of the later splits
come from the first one's cache; only the first, cold one is timed.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.image_classifier.backend import ImageClassifier
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun, example_of
from ml_plugins.types import Task
from tests.assets import tuxpaint

LABELED = 100
ASKED_ACCURACY = 0.85
ASKED_SECONDS = 60


def dataset(photos: list[tuxpaint.Photo], seed: int) -> MemoryDataset:
    files = MemoryFiles({photo.name: photo.png for photo in photos})
    order = list(range(len(photos)))
    random.Random(seed).shuffle(order)
    labeled = set(order[:LABELED])
    examples = []
    for index, photo in enumerate(photos):
        task = Task(index, {'image': photo.name}, files=files)
        result = [
            {'from_name': 'class', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [photo.label]}},
        ]
        examples.append(example_of(task, result, held_out=index not in labeled))
    return MemoryDataset(examples)


def backend() -> ImageClassifier:
    choices = ''.join(f'<Choice value="{label}"/>' for label in tuxpaint.CLASSES)
    xml = f'<View><Image name="image" value="$image"/><Choices name="class" toName="image">{choices}</Choices></View>'
    return ImageClassifier(BackendContext(parse_label_config(xml)))


def main() -> None:
    splits = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    try:
        photos = tuxpaint.photos()
    except tuxpaint.AssetsMissingError as error:
        raise SystemExit(f'absent: {error}') from error
    folder = Path(tempfile.mkdtemp(prefix='bench-image-classifier-'))
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    accuracies, cold, cold_cpu = [], 0.0, 0.0
    for seed in range(splits):
        run = MemoryRun(folder / f'run-{seed}', folder / 'cache')
        begin, begin_cpu = time.perf_counter(), time.process_time()
        metrics = backend().fit(dataset(photos, seed), run)
        if not accuracies:
            cold, cold_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        accuracies.append(metrics['accuracy'])
        print(f'split {seed}: accuracy {metrics["accuracy"]:.3f} on {metrics["held_out_size"]:.0f} photos')
    mean = statistics.mean(accuracies)
    print(f'{len(photos)} photos, {LABELED} labeled, {len(tuxpaint.CLASSES)} classes, {splits} splits')
    print(
        f'accuracy: mean {mean:.3f}, lowest {min(accuracies):.3f}, highest {max(accuracies):.3f}; '
        f'asked {ASKED_ACCURACY}; ratio {mean / ASKED_ACCURACY:.3f}'
    )
    print(
        f'fit from cold features: {cold:.1f} s ({cold_cpu:.1f} s of processor time); asked under {ASKED_SECONDS} s; '
        f'ratio {cold / ASKED_SECONDS:.2f}'
    )


if __name__ == '__main__':
    main()
