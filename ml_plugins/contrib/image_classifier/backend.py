"""The image classifier: Choices about whole pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_plugins.backend import Dataset, MLBackend, Run, Serves
from ml_plugins.contrib.image_classifier import artifact
from ml_plugins.contrib.image_classifier.backbones import DEFAULT, check_name, load_backbone
from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.contrib.image_classifier.features import known_or_computed
from ml_plugins.contrib.image_classifier.fine_tune import Schedule
from ml_plugins.contrib.image_classifier.head import chosen
from ml_plugins.contrib.image_classifier.targets import collect, served_controls
from ml_plugins.contrib.image_classifier.training import plan, train
from ml_plugins.exceptions import ParameterError, TaskDataError, TrainingError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.torch_support import use_threads
from ml_plugins.types import Interaction, Prediction, Region, Task, TaskFailure


class ImageClassifier(MLBackend):
    """A pretrained backbone, frozen or fine-tuned, with one trained head for each Choices tag."""

    serves = (Serves('Choices', 'Image'),)
    params = (
        Param('backbone', DEFAULT, f'Network: {DEFAULT}, or the name of a classification model of torchvision.'),
        Param('weights', '', "A file with the network's weights on the server; empty for those that come with it."),
        Param('fine_tune', False, 'Train the whole network, not only its last layer: slower, for larger projects.'),
        Param('epochs', 5, 'Passes over the pictures when fine-tuning.', minimum=1, maximum=1000),
        Param('batch_size', 16, 'Pictures at a time while training.', minimum=1, maximum=1024),
        Param('learning_rate', 1e-4, 'Step size when fine-tuning.', minimum=1e-8, maximum=1.0),
    )
    max_batch = 16
    # Callers who come at the same moment share a batch; a picture takes several times longer.
    max_delay = 0.005
    needs_training = True
    embeds_untrained = True
    # A backend that only trains is closed, too, and was never set up.
    _store: FeatureStore | None = None

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        served_controls(label_config)

    def setup(self) -> None:
        check_name(self.param_values['backbone'])
        self._controls = served_controls(self.label_config)
        self._model = artifact.load(self.version.path, self.device) if self.version else self._untrained()
        folder = self.context.cache_directory
        # The network is asked about a picture once: another version has other heads, but the same network.
        is_shared = folder is not None and not self._model.fine_tuned
        self._store = FeatureStore(folder, self._model.backbone.fingerprint) if is_shared else None

    def _untrained(self) -> artifact.Model:
        values = self.param_values
        return artifact.Model(load_backbone(values['backbone'], values['weights'], self.device).folded(), {})

    def close(self) -> None:
        if self._store:
            self._store.flush()

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        controls = [control for control in self._controls if control.name in self._model.heads]
        if self.version and not controls:
            return [None] * len(tasks)
        keys = list(dict.fromkeys(control.value for control in controls or self._controls))
        if self._store:
            self._store.renew()
        wanted = [(task, key) for task in tasks for key in keys]
        rows = iter(known_or_computed(self._model.backbone, wanted, self._store))
        return [self._answer(task, {key: next(rows) for key in keys}, controls) for task in tasks]

    def _answer(
        self, task: Task, features: Mapping[str, np.ndarray | TaskDataError], controls: Sequence[Control]
    ) -> Prediction | TaskFailure:
        unreadable = next((item for item in features.values() if isinstance(item, TaskDataError)), None)
        return TaskFailure(task.id, str(unreadable)) if unreadable else self._prediction(features, controls)

    def _prediction(self, features: Mapping[str, np.ndarray], controls: Sequence[Control]) -> Prediction:
        embedding = np.concatenate(list(features.values()))
        if not controls:
            # Nothing is learned yet, but which pictures are alike can be seen.
            return Prediction(embedding=embedding)
        regions, scores, probabilities = [], [], {}
        for control in controls:
            row = self._model.heads[control.name].probabilities(features[control.value][None], control.labels)[0]
            probabilities[control.name] = row
            region, score = _region(control, row)
            if region:
                regions.append(region)
            scores.append(score)
        # A prediction is as sure as its least sure answer.
        return Prediction(regions, min(scores), probabilities, embedding)

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        controls = served_controls(self.label_config)
        pictures = collect(dataset, controls)
        # Asked before time is spent on torch and features; `train` asks again once it is known which pictures can be
        # read.
        plan(pictures, controls)
        use_threads()
        values = self.param_values
        try:
            backbone = load_backbone(values['backbone'], values['weights'], run.device)
        except ParameterError as error:
            raise TrainingError(str(error)) from error
        epochs = values['epochs'] if values['fine_tune'] else 0
        trained = train(
            pictures, controls, backbone, run, Schedule(epochs, values['batch_size'], values['learning_rate'])
        )
        artifact.save(run.directory, backbone, trained.heads, fine_tuned=epochs > 0)
        return trained.metrics


def _region(control: Control, row: np.ndarray) -> tuple[Region | None, float]:
    """The region that a row of probabilities speaks for, if any, and how sure it is."""
    places = chosen(row, control.is_multiple)
    sure = np.maximum(row, 1 - row) if control.is_multiple else row[places]
    score = float(sure.min()) if len(sure) else 0.0
    if not places:
        return None, score
    labels = [control.labels[place] for place in places]
    return control.choices(*labels, score=float(row[places].min())), score
