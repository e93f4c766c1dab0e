"""Pages to read, drawn with Pillow's own font."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.ocr.backend import Ocr
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryFiles
from ml_plugins.types import Task

IMAGE = '<Image name="image" value="$image"/>'
TEXT = '<TextArea name="text" toName="image" perRegion="true" editable="true"/>'
BOXES = (
    f'<View>{IMAGE}<RectangleLabels name="box" toName="image"><Label value="Heading"/><Label value="Text"/>'
    f'</RectangleLabels>{TEXT}</View>'
)
# As in Label Studio's OCR template.
TEMPLATE = (
    f'<View>{IMAGE}<Labels name="label" toName="image"><Label value="Text"/><Label value="Handwriting"/></Labels>'
    f'<Rectangle name="bbox" toName="image"/><Polygon name="poly" toName="image"/>{TEXT}</View>'
)
WHOLE = f'<View>{IMAGE}<TextArea name="text" toName="image"/></View>'
LINES = ('Invoice 2024', 'Total amount 315')


def page(lines=LINES, size=(400, 250)) -> Image.Image:
    """Lines of text in black on white."""
    image = Image.new('RGB', size, 'white')
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((40, 30 + 70 * number), line, fill='black', font=ImageFont.load_default(32))
    return image


def content(image: Image.Image, kind: str = 'PNG', **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def task(number: int = 1, data: bytes | None = None) -> Task:
    name = f'/data/upload/1/{number}.png'
    return Task(number, {'image': name}, files=MemoryFiles({name: data or content(page())}))


_loaded = {}


def backend(config: str = BOXES, **params) -> Ocr:
    """A loaded backend; the networks are loaded once, which takes a second."""
    made = Ocr(BackendContext(parse_label_config(config), params))
    made.setup()
    return made


@pytest.fixture(autouse=True)
def _one_engine(monkeypatch):
    from ml_plugins.contrib.ocr import engines

    loader = engines.RapidOcr
    monkeypatch.setattr(engines, 'RapidOcr', lambda: _loaded.get('engine') or _loaded.setdefault('engine', loader()))


def texts(prediction) -> list[str]:
    return [text for item in prediction.result() if item['type'] == 'textarea' for text in item['value']['text']]


def plain(text: str) -> str:
    """Letters and digits alone: engines differ in their blanks."""
    return ''.join(letter for letter in text.lower() if letter.isalnum())


def corners(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)
