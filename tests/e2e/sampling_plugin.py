"""An installed plugin that knows what texts are about well enough to say where it is in doubt."""

from pathlib import Path

BACKEND = """
import numpy as np

from ml_plugins import MLBackend, Prediction, Serves


class PlacesBackend(MLBackend):
    serves = (Serves('Choices', 'Text'),)

    def setup(self):
        self.control = self.label_config.control('Choices', 'Text')
        self.middles = 4 * np.eye(len(self.control.labels), 4)

    def predict(self, tasks, interaction=None):
        return [self._one(np.array([float(word) for word in task.text('text').split()])) for task in tasks]

    def _one(self, place):
        distances = ((place - self.middles) ** 2).sum(axis=1)
        weights = np.exp(-distances / 8)
        probabilities = weights / weights.sum()
        best = int(probabilities.argmax())
        region = self.control.choices(self.control.labels[best], score=float(probabilities[best]))
        return Prediction([region], float(probabilities[best]), {self.control.name: probabilities}, place)
"""

APPS = """
from ml_plugins import MLBackendConfig


class PlacesConfig(MLBackendConfig):
    name = 'places'
    verbose_name = 'Places'
    backend = 'places.backend:PlacesBackend'
    description = 'Says which of four points a place is nearest to.'
"""


def install(folder: Path) -> Path:
    """Put the plugin `places` into a folder for ``PYTHONPATH``."""
    package = folder / 'places'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'apps.py').write_text(APPS, encoding='utf-8')
    (package / 'backend.py').write_text(BACKEND, encoding='utf-8')
    metadata = folder / 'places-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: places\nVersion: 1.0\n', encoding='utf-8')
    (metadata / 'entry_points.txt').write_text(
        '[label_studio.ml_backends]\nplaces = places.apps:PlacesConfig\n', encoding='utf-8'
    )
    return folder
