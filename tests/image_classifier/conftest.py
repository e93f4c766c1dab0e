"""Coloured noise as pictures: quick to make, easy to tell apart."""

import io

import numpy as np
import pytest
from PIL import Image

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.image_classifier.backend import ImageClassifier
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryFiles, MemoryRun, example_of
from ml_plugins.types import Task

COLOURS = {'red': (200, 30, 30), 'green': (30, 200, 30), 'blue': (30, 30, 200)}
IMAGE = '<Image name="image" value="$image"/>'


def choices(name: str, labels, attributes: str = '') -> str:
    inside = ''.join(f'<Choice value="{label}"/>' for label in labels)
    return f'<Choices name="{name}" toName="image" {attributes}>{inside}</Choices>'


def view(*controls: str) -> str:
    return f'<View>{IMAGE}{"".join(controls)}</View>'


COLOUR_CONFIG = view(choices('colour', COLOURS))


def png(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-25, 25, (48, 64, 3))
    pixels = (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'PNG')
    return buffer.getvalue()


class Workbench:
    """Makes tasks, examples, runs and backends that share their files."""

    def __init__(self, folder):
        self.folder = folder
        self.files = MemoryFiles()
        self.runs = 0

    def task(self, number: int, colour: str | None) -> Task:
        name = f'/data/{number}.png'
        if colour:
            self.files.content[name] = png(colour, number)
        return Task(number, {'image': name}, files=self.files)

    def example(self, number: int, colour: str | None, held_out: bool = False, /, **answers):
        answers = answers or {'colour': [colour]}
        result = [
            {'from_name': name, 'to_name': 'image', 'type': 'choices', 'value': {'choices': list(labels)}}
            for name, labels in answers.items()
            if labels
        ]
        return example_of(self.task(number, colour), result, held_out)

    def run(self) -> MemoryRun:
        self.runs += 1
        return MemoryRun(self.folder / f'run-{self.runs}', self.folder / 'cache')

    def backend(self, xml: str = COLOUR_CONFIG, run: MemoryRun | None = None, **params) -> ImageClassifier:
        version = run.version() if run else None
        made = ImageClassifier(BackendContext(parse_label_config(xml), params, version))
        if run:
            made.setup()
        return made


@pytest.fixture
def bench(tmp_path):
    return Workbench(tmp_path)
