"""Real short texts of four sources, and what makes tasks, examples and backends of them."""

import pytest

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.text_classifier.backend import TextClassifier
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryRun, example_of
from ml_plugins.types import Task
from tests.assets.snippets import SOURCES, snippets
from tests.assets.tuxpaint import AssetsMissingError

TEXT = '<Text name="text" value="$text"/>'


def choices(name: str, labels, attributes: str = '') -> str:
    inside = ''.join(f'<Choice value="{label}"/>' for label in labels)
    return f'<Choices name="{name}" toName="text" {attributes}>{inside}</Choices>'


def view(*controls: str, of: str = TEXT) -> str:
    return f'<View>{of}{"".join(controls)}</View>'


SOURCE_CONFIG = view(choices('source', SOURCES))


@pytest.fixture(scope='session')
def real_texts():
    try:
        return snippets()
    except AssetsMissingError as error:
        pytest.skip(str(error))


def example(number: int, text: str, held_out: bool = False, /, **answers):
    result = [
        {'from_name': name, 'to_name': 'text', 'type': 'choices', 'value': {'choices': list(labels)}}
        for name, labels in answers.items()
        if labels
    ]
    return example_of(Task(number, {'text': text}), result, held_out)


class Workbench:
    """Makes runs and backends in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.runs = 0

    def run(self) -> MemoryRun:
        self.runs += 1
        return MemoryRun(self.folder / f'run-{self.runs}', self.folder / 'cache')

    def backend(self, xml: str = SOURCE_CONFIG, run: MemoryRun | None = None, **params) -> TextClassifier:
        params = {'embeddings': 'off', **params}
        version = run.version() if run else None
        made = TextClassifier(BackendContext(parse_label_config(xml), params, version))
        made.setup()
        return made


@pytest.fixture
def bench(tmp_path):
    return Workbench(tmp_path)
