"""The segmenter: a box or clicks in the editor become a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_plugins.backend import MLBackend, Serves
from ml_plugins.contrib.segmenter import grabcut
from ml_plugins.contrib.segmenter.outlines import as_regions
from ml_plugins.contrib.segmenter.prompts import OutsideError, Prompt, label_of, read_prompt
from ml_plugins.contrib.segmenter.sam import SegmentAnything
from ml_plugins.exceptions import LabelConfigError, TaskDataError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure

_OUTPUTS = {'brush': 'BrushLabels', 'polygon': 'PolygonLabels'}


class Segmenter(MLBackend):
    """GrabCut on what an annotator boxes or clicks, or a SAM-type model whose ONNX files are given."""

    serves = tuple(Serves(tag, 'Image') for tag in _OUTPUTS.values())
    params = (
        Param('output', 'brush', 'What to draw where the label config has both.', choices=tuple(_OUTPUTS)),
        Param('tolerance', 0.2, 'How far polygons may be off, in percent of the longer side.', minimum=0, maximum=10),
        Param('side', 256, 'Longest side that GrabCut computes on, in pixels.', minimum=64, maximum=2048),
        Param('iterations', 3, 'Rounds of GrabCut.', minimum=1, maximum=20),
        Param('encoder', '', 'ONNX file on the server with the encoder of a SAM-type model; empty for GrabCut.'),
        Param('decoder', '', "ONNX file on the server with that model's decoder."),
    )
    is_interactive = True

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        super().check(label_config)
        if not any(control.labels for control in _controls(label_config, 'brush')):
            raise LabelConfigError('its <BrushLabels> or <PolygonLabels> need at least one <Label>')

    def setup(self) -> None:
        values = self.param_values
        self._model = SegmentAnything.load(values['encoder'], values['decoder'])

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        # What an object is, only a person can say: without a click there is nothing to answer.
        if interaction is None or not interaction.regions:
            return [None] * len(tasks)
        return [self._answer(task, interaction) for task in tasks]

    def _answer(self, task: Task, interaction: Interaction) -> Prediction | TaskFailure | None:
        try:
            control, label = self._target(interaction)
            image = task.image(control.value)
            prompt = read_prompt(interaction.regions, image.width, image.height)
        except (TaskDataError, OutsideError, LabelConfigError) as error:
            return TaskFailure(task.id, str(error))
        if prompt is None:
            return None
        mask, score = self._mask(task, control, np.asarray(image), prompt)
        regions = as_regions(control, label, mask, self.param_values['tolerance'], score)
        return Prediction(regions, score)

    def _mask(
        self, task: Task, control: Control, picture: np.ndarray, prompt: Prompt
    ) -> tuple[np.ndarray, float | None]:
        values = self.param_values
        if self._model is None:
            return grabcut.segment(picture, prompt, values['side'], values['iterations']), None
        return self._model.segment(picture, prompt, name=str(task.data.get(control.value)))

    def _target(self, interaction: Interaction) -> tuple[Control, str]:
        """The control to fill and its label, for the tool's label."""
        label = label_of(interaction.regions)
        controls = _controls(self.label_config, self.param_values['output'])
        objects = {region.get('to_name') for region in interaction.regions}
        controls = [control for control in controls if control.to_name in objects] or controls
        for control in controls:
            if label in control.labels:
                return control, label
            if not label and len(control.labels) == 1:
                return control, control.labels[0]
        known = ', '.join(dict.fromkeys(name for control in controls for name in control.labels))
        what = f'has no label "{label}"; it has {known}' if label else f'has several labels: select one of {known}'
        raise LabelConfigError(f'<{controls[0].tag} name="{controls[0].name}"> {what}')


def _controls(label_config: LabelConfig, first: str) -> list[Control]:
    """Controls that a mask can go to, those of the preferred kind first."""
    kinds = sorted(_OUTPUTS, key=lambda kind: kind != first)
    return [control for kind in kinds for control in label_config.controls(_OUTPUTS[kind], 'Image') if control.labels]
