"""The object detector: boxes with labels, learned from the project's boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_plugins.backend import Dataset, MLBackend, Run, Serves
from ml_plugins.contrib.object_detector import artifact
from ml_plugins.contrib.object_detector.measure import overlaps
from ml_plugins.contrib.object_detector.networks import DEFAULT, Found, build, check_name
from ml_plugins.contrib.object_detector.photos import as_square, collect, seen_labels, served_control
from ml_plugins.contrib.object_detector.training import Schedule, Shelf, learn, precision
from ml_plugins.exceptions import ParameterError, TaskDataError, TrainingError
from ml_plugins.label_config import LabelConfig
from ml_plugins.params import Param
from ml_plugins.torch_support import use_threads
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure

# Overlap from which two boxes are taken for one object.
_SAME_OBJECT = 0.7


class ObjectDetector(MLBackend):
    """An SSD on a pretrained EfficientNet-Lite0, or an SSD or RetinaNet of torchvision with weights of its own."""

    serves = (Serves('RectangleLabels', 'Image'),)
    params = (
        Param('network', DEFAULT, f'{DEFAULT}, or the name of an SSD or RetinaNet of torchvision.'),
        Param('weights', '', "A file on the server with the network's weights; empty for those that come with it."),
        Param('fine_tune', False, 'Let the pretrained base learn too: slower, for larger projects.'),
        Param('epochs', 30, 'Passes over the pictures.', minimum=1, maximum=1000),
        Param('batch_size', 8, 'Pictures at a time while training.', minimum=1, maximum=256),
        Param('learning_rate', 2e-3, 'Largest step size.', minimum=1e-7, maximum=1.0),
        Param('minimum_score', 0.4, 'Boxes that are less sure are left out.', minimum=0.01, maximum=1.0),
    )
    max_batch = 8
    needs_training = True

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        served_control(label_config)

    def setup(self) -> None:
        check_name(self.param_values['network'])
        self._control = served_control(self.label_config)
        self._network = artifact.load(self.version.path, self.device) if self.version else None

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        if self._network is None:
            return [None] * len(tasks)
        answers: list[Prediction | TaskFailure | None] = []
        squares, sizes = [], []
        for task in tasks:
            try:
                image = task.image(self._control.value)
            except TaskDataError as error:
                answers.append(TaskFailure(task.id, str(error)))
                continue
            answers.append(None)
            squares.append(as_square(image, self._network.side))
            sizes.append(image.size)
        found = iter(zip(self._network.detect(squares), sizes, strict=True) if squares else ())
        return [self._prediction(*next(found)) if answer is None else answer for answer in answers]

    def _prediction(self, found: Found, size: tuple[int, int]) -> Prediction:
        labels = self._network.labels
        extra = {'original_width': size[0], 'original_height': size[1], 'image_rotation': 0}
        boxes = np.clip(found.boxes, 0, 1)
        regions, kept = [], []
        for row, (place, score) in enumerate(zip(found.labels, found.scores, strict=True)):
            # A label may have left the label config since the training.
            if labels[place] not in self._control.labels or score < self.param_values['minimum_score']:
                continue
            left, top, right, bottom = (float(number) for number in boxes[row] * 100)
            # The surest comes first; a second label for the same object is of no use to anybody.
            if right <= left or bottom <= top or (overlaps(boxes[[row]], boxes[kept]) > _SAME_OBJECT).any():
                continue
            kept.append(row)
            regions.append(
                self._control.rectangle(left, top, right - left, bottom - top, labels[place], float(score), **extra)
            )
        # A picture is as sure as its least sure box; where nothing is seen, as the surest that was left out is unsure.
        score = min((r.score for r in regions), default=1 - float(found.scores.max(initial=0.0)))
        return Prediction(regions, score, embedding=found.embedding)

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        control = served_control(self.label_config)
        photos = collect(dataset, control)
        labels = seen_labels(photos, control)
        if not labels:
            raise TrainingError(
                f'No picture has a box of "{control.name}" to learn from yet. Draw boxes in some and train again.'
            )
        values = self.param_values
        use_threads()
        try:
            network = build(
                values['network'], labels, run.device, values['weights'],
                learns=values['fine_tune'] or values['network'] != DEFAULT or bool(values['weights']), seed=run.seed,
            )  # fmt: skip
        except ParameterError as error:
            raise TrainingError(str(error)) from error
        learning = [photo for photo in photos if not photo.held_out]
        held_out = [photo for photo in photos if photo.held_out]
        boxes = sum(len(photo.labels) for photo in learning)
        run.log(
            f'{len(learning)} pictures with {boxes} boxes of {len(labels)} labels; {network.name}, {network.device}'
        )
        schedule = Schedule(values['epochs'], values['batch_size'], values['learning_rate'])
        total = schedule.epochs * len(learning) + len(held_out)
        shelf = Shelf(network, control.value, run)
        learn(network, learning, shelf, run, schedule, total)
        if shelf.readable == 0:
            raise TrainingError(f'None of the {len(learning)} pictures to learn from can be read; the run lists why.')
        metrics = {'train_size': float(shelf.readable), 'held_out_size': float(len(held_out)), 'boxes': float(boxes)}
        measured = precision(network, held_out, shelf, run, total - len(held_out), total)
        if measured is not None:
            metrics['map50'] = measured
        artifact.save(run.directory, network)
        return metrics
