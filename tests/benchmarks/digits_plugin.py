"""An installed plugin that learns digits from the pixels in a task's data; before its first version it embeds them."""

from pathlib import Path

APPS = """
from ml_plugins import MLBackendConfig


class Config(MLBackendConfig):
    name = '{name}'
    backend = '{name}.backend:{class_name}'
"""

BACKEND = """
import numpy as np

from ml_plugins import MLBackend, Prediction, Serves, TrainingError
from ml_plugins.strategies.heads import logistic


def pixels(task):
    return np.asarray(task.data['pixels'], dtype=np.float32) / 16


class DigitsBackend(MLBackend):
    serves = (Serves('Choices', 'Text'),)
    needs_training = True
    embeds_untrained = True
    max_batch = 256

    def setup(self):
        self.control = self.label_config.control('Choices', 'Text')
        self.classify = None
        if self.version is not None:
            stored = np.load(self.version.path / 'digits.npz')
            self.classify = logistic(stored['features'], stored['answers'], len(self.control.labels))

    def predict(self, tasks, interaction=None):
        rows = np.stack([pixels(task) for task in tasks])
        if self.classify is None:
            return [Prediction(embedding=row) for row in rows]
        return [self._say(*pair) for pair in zip(rows, self.classify(rows))]

    def _say(self, row, probabilities):
        label = self.control.labels[int(probabilities.argmax())]
        score = float(probabilities.max())
        regions = [self.control.choices(label, score=score)]
        return Prediction(regions, score, {self.control.name: probabilities}, row)

    def fit(self, dataset, run):
        control = self.label_config.control('Choices', 'Text')
        examples = list(dataset.train)
        if len(examples) < 2:
            raise TrainingError('there is nothing to learn from yet')
        answers = [control.labels.index(example.annotation.labels(control.name)[0]) for example in examples]
        features = np.stack([pixels(example.task) for example in examples])
        np.savez(run.directory / 'digits.npz', features=features, answers=np.array(answers))
        return {'train_size': float(len(examples))}
"""


def install(folder: Path) -> Path:
    """Put the plugin `digits_model` into a folder for ``PYTHONPATH``."""
    return install_plugin(folder, 'digits_model', 'DigitsBackend', BACKEND)


def install_plugin(folder: Path, name: str, class_name: str, source: str) -> Path:
    """Put a plugin of one class into a folder for ``PYTHONPATH``."""
    package = folder / name
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'apps.py').write_text(APPS.format(name=name, class_name=class_name), encoding='utf-8')
    (package / 'backend.py').write_text(source, encoding='utf-8')
    info = folder / f'{name}-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n', encoding='utf-8')
    (info / 'entry_points.txt').write_text(
        f'[label_studio.ml_backends]\n{name} = {name}.apps:Config\n', encoding='utf-8'
    )
    return folder
