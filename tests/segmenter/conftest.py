"""Scenes to click on, and a tiny SAM-type model."""

import io

import numpy as np
import pytest
from PIL import Image

from ml_plugins.backend import BackendContext
from ml_plugins.brush_rle import mask_of
from ml_plugins.contrib.segmenter.backend import Segmenter
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryFiles
from ml_plugins.types import Interaction, Task

SIZE = (240, 160)
DISC = (150, 80, 40)
LABELS = '<Label value="Ball"/><Label value="Cat"/>'
CONFIG = (
    '<View><Image name="image" value="$image"/>'
    f'<BrushLabels name="brush" toName="image">{LABELS}</BrushLabels>'
    f'<KeyPointLabels name="point" toName="image" smart="true">{LABELS}<Label value="Dog"/></KeyPointLabels>'
    f'<RectangleLabels name="box" toName="image" smart="true">{LABELS}</RectangleLabels></View>'
)
POLYGON_CONFIG = CONFIG.replace('BrushLabels', 'PolygonLabels')


def disc() -> np.ndarray:
    """Where the red disc of the picture is."""
    rows, columns = np.ogrid[: SIZE[1], : SIZE[0]]
    return (columns - DISC[0]) ** 2 + (rows - DISC[1]) ** 2 <= DISC[2] ** 2


def picture() -> Image.Image:
    """A red disc on a green ground, both with noise."""
    noise = np.random.default_rng(0).integers(-20, 20, (SIZE[1], SIZE[0], 3))
    pixels = np.where(disc()[:, :, None], (200, 50, 40), (40, 150, 60)) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def content(image: Image.Image, kind: str = 'PNG', **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def task(number: int = 1, data: bytes | None = None) -> Task:
    name = f'/data/upload/1/{number}.png'
    files = MemoryFiles({name: content(picture()) if data is None else data})
    return Task(number, {'image': name}, files=files)


def region(kind: str, label: str = 'Ball', **value) -> dict:
    positive = value.pop('positive', True)
    labels = {kind: [label]} if label else {}
    name = {'keypointlabels': 'point', 'rectanglelabels': 'box'}[kind]
    return {
        'id': 'x', 'from_name': name, 'to_name': 'image', 'type': kind, 'is_positive': positive,
        'original_width': SIZE[0], 'original_height': SIZE[1], 'value': {**value, **labels},
    }  # fmt: skip


def click(x: float, y: float, label: str = 'Ball', positive: bool = True) -> dict:
    """A click, in pixels of the picture."""
    place = {'x': x / SIZE[0] * 100, 'y': y / SIZE[1] * 100, 'width': 0.5}
    return region('keypointlabels', label, positive=positive, **place)


def box(left: float, top: float, right: float, bottom: float, label: str = 'Ball', rotation: float = 0) -> dict:
    """A box, in pixels of the picture."""
    scale_x, scale_y = 100 / SIZE[0], 100 / SIZE[1]
    place = {'x': left * scale_x, 'y': top * scale_y, 'rotation': rotation}
    return region('rectanglelabels', label, width=(right - left) * scale_x, height=(bottom - top) * scale_y, **place)


AROUND = (100, 30, 200, 130)


def backend(config: str = CONFIG, **params) -> Segmenter:
    made = Segmenter(BackendContext(parse_label_config(config), params))
    made.setup()
    return made


def answer(*regions: dict, config: str = CONFIG, on: Task | None = None, **params):
    """What the segmenter says to what was drawn; checked against the label config."""
    made = backend(config, **params)
    (found,) = made.predict([on or task()], Interaction(regions))
    if hasattr(found, 'regions'):
        made.label_config.check(found)
    return found


def iou(found, truth: np.ndarray) -> float:
    """How far the only region of an answer covers what it should."""
    (only,) = found.result()
    mask = mask_of(only)
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.fixture(scope='module')
def sam_files(tmp_path_factory):
    """Gives `(encoder, decoder)` files by the encoder's number of dimensions."""
    from tests.segmenter.tiny_sam import write

    return lambda dimensions: write(tmp_path_factory.mktemp('sam'), dimensions)
