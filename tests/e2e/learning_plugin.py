"""An installed plugin that learns words by label, takes its time for it, and can be told to learn them wrong."""

from pathlib import Path

APPS = """
from ml_plugins import MLBackendConfig


class WordsConfig(MLBackendConfig):
    name = 'word_counts'
    verbose_name = 'Word counts'
    backend = 'word_counts.backend:WordsBackend'
    description = 'Says what a text is about by its words.'
"""

BACKEND = """
import json
import time
from collections import Counter, defaultdict

from ml_plugins import MLBackend, Param, Prediction, Serves


class WordsBackend(MLBackend):
    serves = (Serves('Choices', 'Text'),)
    needs_training = True
    params = (
        Param('learns', 'the label', 'What is learned from a text.', choices=('the label', 'another label')),
        Param('seconds', 1.0, 'How long a training takes.', minimum=0, maximum=60),
    )

    def setup(self):
        self.control = self.label_config.control('Choices', 'Text')
        self.counts = {}
        if self.version is not None:
            self.counts = json.loads((self.version.path / 'counts.json').read_text(encoding='utf-8'))

    def predict(self, tasks, interaction=None):
        return [self._one(task) for task in tasks]

    def fit(self, dataset, run):
        labels = self.label_config.control('Choices', 'Text').labels
        turned = self.param_values['learns'] == 'another label'
        counts = defaultdict(Counter)
        examples = list(dataset.train)
        for number, example in enumerate(examples, start=1):
            time.sleep(self.param_values['seconds'] / len(examples))
            for label in example.annotation.labels('topic'):
                place = (labels.index(label) + turned) % len(labels)
                counts[labels[place]].update(example.task.text('text').split())
            run.progress(number, len(examples))
        run.log(f'{len(examples)} texts read')
        (run.directory / 'counts.json').write_text(json.dumps(counts), encoding='utf-8')
        return {'words': float(len({word for found in counts.values() for word in found}))}

    def _one(self, task):
        words = task.text(self.control.value).split()
        weights = {
            label: 1 + sum(self.counts.get(label, {}).get(word, 0) for word in words) for label in self.control.labels
        }
        best = max(weights, key=weights.get)
        score = weights[best] / sum(weights.values())
        return Prediction([self.control.choices(best, score=score)], score=score)
"""


def install(folder: Path) -> Path:
    """Put the plugin `word_counts` into a folder for ``PYTHONPATH``."""
    package = folder / 'word_counts'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'apps.py').write_text(APPS, encoding='utf-8')
    (package / 'backend.py').write_text(BACKEND, encoding='utf-8')
    metadata = folder / 'word_counts-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: word-counts\nVersion: 1.0\n', encoding='utf-8')
    (metadata / 'entry_points.txt').write_text(
        '[label_studio.ml_backends]\nword_counts = word_counts.apps:WordsConfig\n', encoding='utf-8'
    )
    return folder
