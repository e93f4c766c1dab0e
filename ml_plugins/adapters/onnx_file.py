"""An ONNX file as a backend."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ml_plugins.adapters.base import Adapter
from ml_plugins.adapters.extras import require
from ml_plugins.adapters.pictures import to_array
from ml_plugins.adapters.raw_outputs import Reading, read, rows_of
from ml_plugins.exceptions import PluginBrokenError

_KINDS = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(double)': np.float64,
    'tensor(uint8)': np.uint8,
    'tensor(int64)': np.int64,
    'tensor(int32)': np.int32,
}
_CHANNELS = (1, 3)


class OnnxBackend(Adapter):
    """Runs an ONNX file with onnxruntime, on the processor or on a GPU where onnxruntime has one.

    Attributes:
        model: The file, relative to the file of the class.
        output: Name of the output that counts; by default the only one, or the one called ``probabilities`` or
            ``logits``.
        logits: Whether outputs are before the softmax; None to see it in numbers that do not add up to 1. A multiple
            choice needs it said.
        picture_size: Width and height that pictures are scaled to, where the file leaves them open.
        mean: Taken off each channel of a picture, in 0..1; empty for nothing.
        std: Divides each channel of a picture; empty for nothing.
    """

    model: ClassVar[str] = ''
    output: ClassVar[str] = ''
    logits: ClassVar[bool | None] = None
    picture_size: ClassVar[tuple[int, int]] = (224, 224)
    mean: ClassVar[Sequence[float]] = ()
    std: ClassVar[Sequence[float]] = ()

    def load(self) -> None:
        if self.logits is None and self.control.is_multiple:
            raise PluginBrokenError(
                f'{type(self).__name__}.logits must be True or False for a multiple choice: numbers in 0..1 may be '
                'either'
            )
        runtime = require('onnxruntime', 'onnx', type(self).__name__)
        path = Path(inspect.getfile(type(self))).parent / self.model
        if not self.model or not path.is_file():
            raise PluginBrokenError(f'{type(self).__name__}.model is {self.model!r}, and there is no file {path}')
        wanted = ['CPUExecutionProvider']
        if self.device != 'cpu' and 'CUDAExecutionProvider' in runtime.get_available_providers():
            wanted.insert(0, 'CUDAExecutionProvider')
        try:
            self.session = runtime.InferenceSession(str(path), providers=wanted)
        except Exception as error:
            raise PluginBrokenError(f'{path} cannot be loaded: {error}') from error
        self._input = self.session.get_inputs()[0]

    # --- What a subclass may say -------------------------------------------------------------------------------------

    def preprocess(self, given: Any) -> np.ndarray:
        """The array for one input of `read`, without the axis of the batch."""
        if self._input.type == 'tensor(string)':
            return np.array([str(given)] if len(self._input.shape) > 1 else str(given), dtype=object)
        if not (hasattr(given, 'resize') and hasattr(given, 'convert')):
            if isinstance(given, (str, Path)):
                raise PluginBrokenError(
                    f'{type(self).__name__} gets a {type(given).__name__} for each task, and the file takes '
                    f'{self._input.type}; override preprocess()'
                )
            return np.asarray(given, dtype=_KINDS.get(self._input.type))
        size, channels, channels_first = self._picture()
        if channels == 1:
            given = given.convert('L').convert('RGB')
        kind = _KINDS.get(self._input.type, np.float32)
        pixels = to_array(given, size, self.mean, self.std, channels_first)
        if kind is np.uint8:
            pixels = np.rint(pixels * 255)
        if channels == 1:
            pixels = pixels[:1] if channels_first else pixels[..., :1]
        return pixels.astype(kind)

    def feed(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of all inputs by name, for a file with several."""
        return {self._input.name: batch}

    def postprocess(self, output: Any, given: Any) -> Any:
        """By default probabilities, numbers, or masks of the planes of a segmentation."""
        size = self._picture()[0] if self.size(given) else None
        return read(output, Reading(self.naming, self.logits, size, self.size(given)))

    # --- How it runs -------------------------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        arrays = [self.preprocess(given) for given in inputs]
        first = self._input.shape[0] if self._input.shape else None
        # A file that was exported with a batch of one takes no more.
        size = first if isinstance(first, int) and first > 0 else len(arrays)
        if size == 1:
            return [row for item in arrays for row in self._run(np.stack([item]), 1)]
        if isinstance(first, int) and len(arrays) % size:
            # Filled up with what is thrown away again.
            arrays += [arrays[-1]] * (size - len(arrays) % size)
        rows = [
            row
            for start in range(0, len(arrays), size)
            for row in self._run(np.stack(arrays[start : start + size]), size)
        ]
        return rows[: len(inputs)]

    def _run(self, batch: np.ndarray, count: int) -> Sequence[Any]:
        outputs = dict(
            zip(
                (item.name for item in self.session.get_outputs()),
                self.session.run(None, self.feed(batch)),
                strict=True,
            )
        )
        return rows_of(self.choose(outputs), count)

    def choose(self, outputs: dict[str, Any]) -> Any:
        """The output that counts; override it to use several, as a dict of arrays.

        Raises:
            PluginBrokenError: It cannot be told, or `output` names none.
        """
        names = [self.output] if self.output else [*_usual(outputs), *outputs]
        if names[0] not in outputs or (not self.output and len(outputs) > 1 and not _usual(outputs)):
            raise PluginBrokenError(
                f'{type(self).__name__}.output is {self.output!r}; set it to one of the outputs: {", ".join(outputs)}'
            )
        return outputs[names[0]]

    def _picture(self) -> tuple[tuple[int, int], int, bool]:
        """Width and height, number of channels, and whether those come first."""
        shape = list(self._input.shape)[1:]
        if len(shape) != 3:
            raise PluginBrokenError(
                f'the file takes an array of shape {self._input.shape}, which is no picture; override preprocess()'
            )
        channels_first = shape[0] in _CHANNELS or shape[2] not in _CHANNELS
        channels, (height, width) = (shape[0], shape[1:]) if channels_first else (shape[2], shape[:2])
        size = (
            width if isinstance(width, int) else self.picture_size[0],
            height if isinstance(height, int) else self.picture_size[1],
        )
        return size, channels if isinstance(channels, int) else 3, channels_first


def _usual(outputs: dict[str, Any]) -> list[str]:
    """Outputs by the names that exporters give to those that count."""
    return [name for name in outputs if name.lower() in ('probabilities', 'output_probability', 'logits', 'output')]
