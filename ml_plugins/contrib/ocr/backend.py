"""The OCR backend: lines of text with their places."""

from __future__ import annotations

from collections.abc import Sequence

from ml_plugins.backend import MLBackend, Serves
from ml_plugins.contrib.ocr.engines import load_engine
from ml_plugins.contrib.ocr.lines import in_reading_order
from ml_plugins.contrib.ocr.regions import as_regions, layout_of
from ml_plugins.exceptions import TaskDataError
from ml_plugins.label_config import LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure


class Ocr(MLBackend):
    """RapidOCR or Tesseract: a region with its text for each line, in reading order."""

    serves = (Serves('TextArea', 'Image'),)
    params = (
        Param('engine', 'auto', 'Who reads; auto is RapidOCR, or else Tesseract.', ('auto', 'rapidocr', 'tesseract')),
        Param('language', 'eng', "Tesseract's languages, e.g. deu or eng+fra; RapidOCR reads English and Chinese."),
        Param('shape', 'box', 'What to draw where the label config has both.', ('box', 'polygon')),
        Param('label', '', 'Label of the lines; empty for "Text", or else the first label.'),
        Param('minimum_score', 0.5, 'Lines that are less sure are left out.', minimum=0, maximum=1),
    )
    # A page takes a second, and nothing is gained by sharing a batch.
    max_batch = 2

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        layout_of(label_config)

    def setup(self) -> None:
        values = self.param_values
        self._layout = layout_of(self.label_config, values['shape'], values['label'])
        self._engine = load_engine(values['engine'], values['language'])

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        return [self._read(task) for task in tasks]

    def _read(self, task: Task) -> Prediction | TaskFailure:
        try:
            image = task.image(self._layout.text.value)
        except TaskDataError as error:
            return TaskFailure(task.id, str(error))
        found = [
            line
            for line in self._engine.read(image)
            if line.text.strip() and line.score >= self.param_values['minimum_score']
        ]
        lines = in_reading_order(found)
        # A page is as sure as its least sure line.
        score = min((line.score for line in lines), default=None)
        return Prediction(as_regions(lines, self._layout, image.width, image.height), score)
