"""The text classifier: Choices about whole texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_plugins.backend import Dataset, MLBackend, Run, Serves
from ml_plugins.contrib.choices import served_choices
from ml_plugins.contrib.text_classifier import model as artifact
from ml_plugins.contrib.text_classifier.embedding import KeptEmbeddings
from ml_plugins.contrib.text_classifier.head import chosen
from ml_plugins.contrib.text_classifier.targets import OBJECTS, collect, is_page
from ml_plugins.contrib.text_classifier.training import train
from ml_plugins.contrib.text_classifier.vectors import hashed
from ml_plugins.contrib.text_embeddings import is_installed, load_embedder
from ml_plugins.contrib.texts import LONGEST, text_or_failure
from ml_plugins.exceptions import ParameterError, TrainingError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure

_AUTO, _OFF = 'auto', 'off'


class TextClassifier(MLBackend):
    """TF-IDF and, where there are some, sentence embeddings, with one trained head for each Choices tag.

    Before the first version it chooses nothing and says only what stands for each text, so that the first texts to
    label can be spread over all kinds of them.
    """

    serves = tuple(Serves('Choices', name) for name in OBJECTS)
    params = (
        Param(
            'embeddings',
            _AUTO,
            'Sentence embeddings beside TF-IDF: "auto" takes MiniLM where it is installed; "minilm", "off", or a '
            'folder on the server with model.safetensors and tokenizer.json.',
        ),
    )
    max_batch = 64

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        served_choices(label_config, OBJECTS)

    def setup(self) -> None:
        self._controls = served_choices(self.label_config, OBJECTS)
        self._model = artifact.load(self.version.path) if self.version else None
        embedder = self._model.embedder if self._model else self._wanted_embedder()[0]
        self._embeddings = KeptEmbeddings(embedder, self.context.cache_directory) if embedder else None

    def _wanted_embedder(self):
        name = self.param_values['embeddings'].strip()
        if name == _AUTO:
            name = 'minilm' if is_installed('minilm') else ''
        return (None, '') if name in ('', _OFF) else (load_embedder(name), name)

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        heads = self._model.heads if self._model else {}
        controls = [control for control in self._controls if control.name in heads] or self._controls[:1]
        objects = {control.value: is_page(control) for control in controls}
        read = [{key: text_or_failure(task, key, page) for key, page in objects.items()} for task in tasks]
        failures = [next((text for text in texts.values() if isinstance(text, TaskFailure)), None) for texts in read]
        good = [index for index, failure in enumerate(failures) if failure is None]
        found: list[Prediction | TaskFailure | None] = list(failures)
        if good:
            answers = self._answers([tasks[index] for index in good], [read[index] for index in good], controls)
            for index, answer in zip(good, answers, strict=True):
                found[index] = answer
        return found

    def _answers(
        self, tasks: Sequence[Task], read: Sequence[Mapping[str, str]], controls: Sequence[Control]
    ) -> list[Prediction]:
        vectors, probabilities = [], {}
        for key in read[0]:
            texts = [item[key][:LONGEST] for item in read]
            embedded = self._embeddings.of([(task, key) for task in tasks], texts) if self._embeddings else None
            if self._model is None:
                vectors.append(hashed(texts) if embedded is None else embedded)
                continue
            rows = self._model.tfidf.transform(texts)
            vectors.append(self._model.vectors(texts, rows, embedded))
            wide = artifact.features(rows, embedded)
            for control in controls:
                if control.value == key and control.name in self._model.heads:
                    head = self._model.heads[control.name]
                    probabilities[control.name] = head.probabilities(wide, control.labels)
        joined = np.concatenate(vectors, axis=1)
        return [
            _prediction(controls, {name: rows[place] for name, rows in probabilities.items()}, vector)
            for place, vector in enumerate(joined)
        ]

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        controls = served_choices(self.label_config, OBJECTS)
        texts = collect(dataset, controls, run)
        try:
            embedder, name = self._wanted_embedder()
        except ParameterError as error:
            raise TrainingError(str(error)) from error
        trained, metrics = train(texts, controls, embedder, name, run)
        artifact.save(run.directory, trained)
        return metrics


def _prediction(controls: Sequence[Control], rows: Mapping[str, np.ndarray], vector: np.ndarray) -> Prediction:
    if not rows:
        return Prediction(embedding=vector)
    regions, scores = [], []
    for control in controls:
        region, score = _region(control, rows[control.name])
        regions += [region] if region else []
        scores.append(score)
    # A prediction is as sure as its least sure answer.
    return Prediction(regions, min(scores), dict(rows), vector)


def _region(control: Control, row: np.ndarray) -> tuple[Region | None, float]:
    """The region that a row of probabilities speaks for, if any, and how sure it is."""
    places = chosen(row, control.is_multiple)
    sure = np.maximum(row, 1 - row) if control.is_multiple else row[places]
    score = float(sure.min()) if len(sure) else 0.0
    if not places:
        return None, score
    labels = [control.labels[place] for place in places]
    return control.choices(*labels, score=float(row[places].min())), score
