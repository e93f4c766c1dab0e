"""Discs and squares on noise, and a workbench that trains on them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.object_detector import backend as detector
from ml_plugins.contrib.object_detector import networks
from ml_plugins.contrib.object_detector.backend import ObjectDetector
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryFiles, MemoryRun, example_of
from ml_plugins.types import Task

SIZE = (200, 120)
LABELS = ('disc', 'square')
CONFIG = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="disc"/><Label value="square"/><Label value="star"/></RectangleLabels></View>'
)
COLOURS = {'disc': (220, 40, 40), 'square': (40, 60, 220)}
# As few steps as show that something was learned.
SHORT = {'epochs': 25, 'batch_size': 4, 'learning_rate': 8e-3}


def picture(label: str, left: int, top: int, side: int = 56) -> Image.Image:
    noise = np.random.default_rng(left).integers(100, 140, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    shape = draw.ellipse if label == 'disc' else draw.rectangle
    shape((left, top, left + side, top + side), fill=COLOURS[label])
    return image


def content(image: Image.Image, kind: str = 'PNG', **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def box(label: str, left: float, top: float, width: float, height: float, rotation: float = 0, control='box') -> dict:
    """A region, in pixels of the picture."""
    value = {
        'x': left / SIZE[0] * 100, 'y': top / SIZE[1] * 100, 'width': width / SIZE[0] * 100,
        'height': height / SIZE[1] * 100, 'rotation': rotation, 'rectanglelabels': [label],
    }  # fmt: skip
    return {
        'from_name': control, 'to_name': 'image', 'type': 'rectanglelabels', 'value': value,
        'original_width': SIZE[0], 'original_height': SIZE[1],
    }  # fmt: skip


def task(number: int, data: bytes) -> Task:
    name = f'/data/upload/1/{number}.png'
    return Task(number, {'image': name}, files=MemoryFiles({name: data} if data else {}))


def place_of(number: int) -> tuple[int, int]:
    return (number * 37) % (SIZE[0] - 56), (number * 23) % (SIZE[1] - 56)


def examples(count: int = 12, held_out: int = 0):
    made = []
    for number in range(count + held_out):
        label, (left, top) = LABELS[number % 2], place_of(number)
        shown = task(number, content(picture(label, left, top)))
        made.append(example_of(shown, [box(label, left, top, 56, 56)], number >= count))
    return made


def backend(run: MemoryRun | None = None, config: str = CONFIG, **params) -> ObjectDetector:
    version = run.version() if run else None
    made = ObjectDetector(BackendContext(parse_label_config(config), params, version, device='cpu'))
    made.setup()
    return made


@pytest.fixture(scope='module', autouse=True)
def _little_to_compute():
    """A quarter of the pixels, and one thread: several wait for each other actively beside other processes."""
    import torch

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, 'SIDE', 160)
        patch.setattr(detector, 'use_threads', lambda: torch.set_num_threads(1))
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run that has learned discs and squares, and its metrics."""
    from ml_plugins.testing.fakes import MemoryDataset

    run = MemoryRun(tmp_path_factory.mktemp('detector') / 'run')
    metrics = backend(**SHORT).fit(MemoryDataset(examples(12, held_out=4)), run)
    return run, metrics
