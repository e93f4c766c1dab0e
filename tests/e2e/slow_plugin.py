"""An installed plugin that takes its time: progress can be watched, and one task fails until somebody mends it."""

from pathlib import Path

APPS = """
from ml_plugins import MLBackendConfig


class SlowConfig(MLBackendConfig):
    name = 'slow_cats'
    verbose_name = 'Slow cats'
    backend = 'slow_cats.backend:SlowBackend'
    description = 'Says "cat", slowly.'
"""

BACKEND = """
import time
from pathlib import Path

from ml_plugins import MLBackend, Prediction, Serves

HERE = Path(__file__).parent


class SlowBackend(MLBackend):
    serves = (Serves('Choices', 'Text'),)
    max_batch = 10

    def predict(self, tasks, interaction=None):
        time.sleep(float((HERE / 'seconds').read_text()))
        return [self._one(task) for task in tasks]

    def _one(self, task):
        control = self.label_config.control('Choices', 'Text')
        number = int(task.text(control.value).split()[-1])
        if number % 100 == 7 and not (HERE / 'mended').exists():
            raise ValueError(f'picture {number} has no whiskers')
        score = number % 100 / 100
        return Prediction([control.choices('cat', score=score)], score=score)
"""


def install(folder: Path, seconds: float) -> Path:
    """Put the plugin `slow_cats` into a folder for ``PYTHONPATH``; a batch of 10 takes some seconds."""
    package = folder / 'slow_cats'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'apps.py').write_text(APPS, encoding='utf-8')
    (package / 'backend.py').write_text(BACKEND, encoding='utf-8')
    (package / 'seconds').write_text(str(seconds), encoding='utf-8')
    metadata = folder / 'slow_cats-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: slow-cats\nVersion: 1.0\n', encoding='utf-8')
    (metadata / 'entry_points.txt').write_text(
        '[label_studio.ml_backends]\nslow_cats = slow_cats.apps:SlowConfig\n', encoding='utf-8'
    )
    return folder


def mend(folder: Path) -> None:
    """From now on no task fails."""
    (folder / 'slow_cats' / 'mended').touch()
