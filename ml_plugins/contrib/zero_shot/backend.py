"""Zero-shot classification: a text gets the label whose description means most nearly the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_plugins.backend import MLBackend, Serves
from ml_plugins.contrib.choices import served_choices
from ml_plugins.contrib.text_embeddings import Embedder, load_embedder
from ml_plugins.contrib.texts import text_or_failure
from ml_plugins.contrib.zero_shot.descriptions import descriptions
from ml_plugins.exceptions import ParameterError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure

_OBJECTS = ('Text', 'HyperText')
# How much a difference of two similarities counts: sentences that have nothing in common differ by some tenths.
_SHARPNESS = 20.0
_PLACE = '{label}'


class ZeroShot(MLBackend):
    """MiniLM's vectors of texts, held against those of the labels' names and hints."""

    serves = tuple(Serves('Choices', name) for name in _OBJECTS)
    params = (
        Param(
            'embeddings', 'minilm', '"minilm", or a folder with model.safetensors and tokenizer.json of another model.'
        ),
        Param('template', _PLACE, 'What a label says about a text, with {label} in it, e.g. "This is about {label}".'),
        Param(
            'threshold',
            0.3,
            'Where several choices may be given: how similar a text and a label have to be, from -1 to 1.',
            minimum=-1.0,
            maximum=1.0,
        ),
    )
    max_batch = 64

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        served_choices(label_config, _OBJECTS)

    def setup(self) -> None:
        template = self.param_values['template']
        if _PLACE not in template:
            raise ParameterError(f'parameter "template": {template!r} has no {_PLACE} in it')
        self._embedder = load_embedder(self.param_values['embeddings'])
        self._controls = served_choices(self.label_config, _OBJECTS)
        self._labels = {
            control.name: _vectors(self._embedder, descriptions(self.label_config, control), template)
            for control in self._controls
        }

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        pages = {control.value: control.object_tag.lower() == 'hypertext' for control in self._controls}
        read = [{key: text_or_failure(task, key, page) for key, page in pages.items()} for task in tasks]
        found: list[Prediction | TaskFailure | None] = [
            next((text for text in texts.values() if isinstance(text, TaskFailure)), None) for texts in read
        ]
        good = [place for place, failure in enumerate(found) if failure is None]
        if good:
            vectors = {key: self._embedder.encode([read[place][key] for place in good]) for key in pages}
            for row, place in enumerate(good):
                found[place] = self._answer({key: rows[row] for key, rows in vectors.items()})
        return found

    def _answer(self, vectors: Mapping[str, np.ndarray]) -> Prediction:
        regions, scores, probabilities = [], [], {}
        for control in self._controls:
            similarity = np.array([(rows @ vectors[control.value]).max() for rows in self._labels[control.name]])
            row = self._probabilities(similarity, control)
            probabilities[control.name] = row
            region, score = _region(control, row)
            regions += [region] if region else []
            scores.append(score)
        return Prediction(regions, min(scores), probabilities, np.concatenate(list(vectors.values())))

    def _probabilities(self, similarity: np.ndarray, control: Control) -> np.ndarray:
        if control.is_multiple:
            return 0.5 * (1 + np.tanh(0.5 * _SHARPNESS * (similarity - self.param_values['threshold'])))
        raised = np.exp(_SHARPNESS * (similarity - similarity.max()))
        return raised / raised.sum()


def _vectors(embedder: Embedder, phrases: Mapping[str, Sequence[str]], template: str) -> list[np.ndarray]:
    """Of each label a row for each of its phrases."""
    return [embedder.encode([template.replace(_PLACE, phrase) for phrase in own]) for own in phrases.values()]


def _region(control: Control, row: np.ndarray) -> tuple[Region | None, float]:
    places = [int(place) for place in np.flatnonzero(row >= 0.5)] if control.is_multiple else [int(row.argmax())]
    score = float(np.maximum(row, 1 - row).min() if control.is_multiple else row[places[0]])
    if not places:
        return None, score
    return control.choices(*(control.labels[place] for place in places), score=float(row[places].min())), score
