"""An estimator of scikit-learn as a backend that trains."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ml_plugins.adapters import scikit_files
from ml_plugins.adapters.base import Adapter
from ml_plugins.adapters.targets import NUMBERS, Collected, check_trainable, collect
from ml_plugins.backend import Dataset, Run
from ml_plugins.exceptions import ModelVersionError, TaskDataError
from ml_plugins.label_config import LabelConfig
from ml_plugins.types import Task

_SETTINGS = 'model.json'


class SklearnBackend(Adapter):
    """Trains an estimator on the project's labels and predicts with it.

    It answers one Choices (single or multiple), Number or Rating. Without anything but `serves` it learns from words
    and pairs of words of a text, from the grey values of a picture, or from `columns` of the task's data.

    Attributes:
        columns: Fields of the task's data to learn from, numbers and texts; empty for what the control is about.
        picture_size: Width and height that pictures are reduced to.
        trusted: Types of the estimator that are loaded although neither skops nor this library knows them to be
            harmless, by their full names; an error at loading lists them.
    """

    columns: ClassVar[Sequence[str]] = ()
    picture_size: ClassVar[tuple[int, int]] = (32, 32)
    trusted: ClassVar[Sequence[str]] = ()
    needs_training = True
    safe_files = (scikit_files.MODEL,)

    # --- What a subclass may say -------------------------------------------------------------------------------------

    def estimator(self) -> Any:
        """An estimator that is not trained, or a pipeline; override it to use another one."""
        from sklearn.feature_extraction import DictVectorizer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        last = Ridge() if self.control.type in NUMBERS else LogisticRegression(C=10, max_iter=1000)
        if self.columns:
            return make_pipeline(DictVectorizer(sparse=False), StandardScaler(), last)
        if self.control.object_tag == 'Image':
            return make_pipeline(StandardScaler(), last)
        return make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), last)

    def features(self, inputs: Sequence[Any]) -> Any:
        """What the estimator gets for inputs of `read`: texts as they are, and rows of numbers for the others."""
        return list(inputs) if isinstance(inputs[0], (str, Mapping)) else np.stack(inputs)

    def read(self, task: Task) -> Any:
        """A text, the grey values of a picture, or the columns by their names."""
        if self.columns:
            return {name: _column(task, name) for name in self.columns}
        given = super().read(task)
        if self.control.object_tag != 'Image':
            return given
        return np.asarray(given.convert('L').resize(self.picture_size), dtype=np.float32).ravel() / 255

    # --- The contract ------------------------------------------------------------------------------------------------

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        super().check(label_config)
        if cls.fit is SklearnBackend.fit:
            check_trainable(cls.served_controls(label_config)[0])

    def load(self) -> None:
        self._model, self._settings = None, {}
        if self.version is None:
            return
        try:
            self._settings = json.loads((self.version.path / _SETTINGS).read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise ModelVersionError(f'{self.version.path / _SETTINGS} cannot be read: {error}') from error
        self._model = scikit_files.load(self.version.path, self.trusted)
        self.naming.matcher.check(self._settings['classes'])

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        if self._model is None:
            return [None] * len(inputs)
        rows = self.features(inputs)
        classes = self._settings['classes']
        if not classes:
            return list(self._model.predict(rows))
        if hasattr(self._model, 'predict_proba'):
            return [dict(zip(classes, row, strict=True)) for row in self._model.predict_proba(rows)]
        if not self._settings['multiple']:
            return [str(label) for label in self._model.predict(rows)]
        ticked = np.asarray(self._model.predict(rows))
        return [[label for label, is_ticked in zip(classes, row, strict=True) if is_ticked] for row in ticked]

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        self.prepare()
        learned, held_out = collect(self, dataset, run)
        is_number, multiple = self.control.type in NUMBERS, self.control.is_multiple
        run.log(f'{len(learned)} labeled tasks to learn from, {len(held_out)} held out')
        model = self.estimator()
        targets: Any = np.array(learned.targets, dtype=float if is_number else None) if not multiple else None
        classes: list[str] = []
        if multiple and not is_number:
            from sklearn.multiclass import OneVsRestClassifier

            classes = [label for label in self.control.labels if any(label in target for target in learned.targets)]
            targets = np.array([[label in target for label in classes] for target in learned.targets], dtype=int)
            model = OneVsRestClassifier(model)
        model.fit(self.features(learned.inputs), targets)
        if not is_number and not multiple:
            classes = [str(label) for label in model.classes_]
        settings = {'control': self.control.name, 'classes': classes, 'multiple': multiple}
        scikit_files.save(run.directory, model)
        (run.directory / _SETTINGS).write_text(json.dumps(settings, ensure_ascii=False), encoding='utf-8')
        self._model, self._settings = model, settings
        return {'train_size': float(len(learned)), 'held_out_size': float(len(held_out)), **self._measured(held_out)}

    def _measured(self, held_out: Collected) -> dict[str, float]:
        """Accuracy, of numbers the mean absolute error; nothing where nothing is held out."""
        if not held_out.inputs:
            return {}
        predicted = self._model.predict(self.features(held_out.inputs))
        if self.control.type in NUMBERS:
            errors = [abs(float(said) - truth) for said, truth in zip(predicted, held_out.targets, strict=True)]
            return {'mean_absolute_error': sum(errors) / len(errors)}
        classes = self._settings['classes']
        hits = []
        for said, truth in zip(predicted, held_out.targets, strict=True):
            if self.control.is_multiple:
                said = {label for label, is_ticked in zip(classes, said, strict=True) if is_ticked}
            hits.append(said == (set(truth) if self.control.is_multiple else truth))
        return {'accuracy': sum(hits) / len(hits)}


def _column(task: Task, name: str) -> float | str:
    """A number, also one that a table brought as text; or a text. Raises `TaskDataError`."""
    value = task.data.get(name)
    if value is None or value == '':
        present = ', '.join(sorted(task.data)) or 'nothing'
        raise TaskDataError(task.id, name, f'is missing; the task has {present}')
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if not math.isfinite(number):
        raise TaskDataError(task.id, name, f'is {number}; it must be finite')
    return number
