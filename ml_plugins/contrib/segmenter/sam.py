"""Segment Anything and its relatives, as the two ONNX files that their exporters write.

The encoder turns a picture into an embedding once; the decoder answers each click on it. Files of the common exporters
are told apart by their inputs: an encoder takes either bytes of shape (height, width, 3), or normalised pixels of shape
(1, 3, 1024, 1024) filled up with zeros.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from ml_plugins.contrib.segmenter.prompts import Prompt
from ml_plugins.exceptions import ParameterError

_SIDE = 1024
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_STD = np.array([58.395, 57.12, 57.375], np.float32)
# Further clicks on a picture come within seconds, and an embedding takes 4 MB.
_KEPT = 8
_DECODER_INPUTS = ('image_embeddings', 'point_coords', 'point_labels', 'mask_input', 'has_mask_input', 'orig_im_size')
# How the models call a click beside the object, one on it, and two corners of a box.
_NEGATIVE, _POSITIVE, _LEFT_TOP, _RIGHT_BOTTOM, _NOTHING = 0, 1, 2, 3, -1


class SegmentAnything:
    """A loaded encoder and decoder."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._embeddings: OrderedDict[tuple[Any, ...], np.ndarray] = OrderedDict()
        self._wanted = {item.name for item in decoder.get_inputs()}
        self._outputs = [item.name for item in decoder.get_outputs()]

    @classmethod
    def load(cls, encoder: str, decoder: str) -> SegmentAnything | None:
        """Load both files; None where none is given.

        Raises:
            ParameterError: One is missing, cannot be read, or is no such model.
        """
        if not encoder and not decoder:
            return None
        for name, path in (('encoder', encoder), ('decoder', decoder)):
            if not path:
                raise ParameterError(f'parameter "{name}": empty; a SAM-type model needs both an encoder and a decoder')
        loaded = cls(_session('encoder', encoder), _session('decoder', decoder))
        if missing := [
            name for name in ('image_embeddings', 'point_coords', 'point_labels') if name not in loaded._wanted
        ]:
            raise ParameterError(f'parameter "decoder": {decoder} has no input {", ".join(missing)}')
        if unknown := sorted(loaded._wanted - set(_DECODER_INPUTS)):
            raise ParameterError(f'parameter "decoder": {decoder} wants {", ".join(unknown)}, which is not known')
        return loaded

    def segment(self, picture: np.ndarray, prompt: Prompt, name: str) -> tuple[np.ndarray, float]:
        """The best of the masks that the model offers, and how sure the model is of it.

        Args:
            name: What the task calls the picture; with its size it tells whether the embedding is known.
        """
        height, width = picture.shape[:2]
        scale = _SIDE / max(height, width)
        points, labels = _points(prompt)
        inputs = {
            'image_embeddings': self._embedding(picture, (name, width, height)),
            'point_coords': (points * scale)[None].astype(np.float32),
            'point_labels': labels[None].astype(np.float32),
            'mask_input': np.zeros((1, 1, 256, 256), np.float32),
            'has_mask_input': np.zeros(1, np.float32),
            'orig_im_size': np.array([height, width], np.float32),
        }
        found = self._decoder.run(None, {key: value for key, value in inputs.items() if key in self._wanted})
        masks, scores = found[0][0], found[1].reshape(-1)
        best = int(scores.argmax())
        mask = masks[best] > 0
        if mask.shape != (height, width):
            mask = _resized(mask, width, height)
        return mask, float(np.clip(scores[best], 0, 1))

    def _embedding(self, picture: np.ndarray, key: tuple[Any, ...]) -> np.ndarray:
        if key in self._embeddings:
            self._embeddings.move_to_end(key)
            return self._embeddings[key]
        (wanted, *_) = self._encoder.get_inputs()
        found = self._encoder.run(None, {wanted.name: _pixels(picture, len(wanted.shape))})[0]
        self._embeddings[key] = found
        while len(self._embeddings) > _KEPT:
            self._embeddings.popitem(last=False)
        return found


def _session(parameter: str, path: str) -> Any:
    if not Path(path).is_file():
        raise ParameterError(f'parameter "{parameter}": there is no file {path}')
    try:
        import onnxruntime
    except ImportError as error:
        raise ParameterError(
            f'parameter "{parameter}": ONNX files need a package that is missing: pip install onnxruntime'
        ) from error
    try:
        return onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    except Exception as error:
        raise ParameterError(f'parameter "{parameter}": {path} is no ONNX model that can be loaded: {error}') from error


def _pixels(picture: np.ndarray, dimensions: int) -> np.ndarray:
    import cv2

    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    if dimensions == 3:
        return small
    filled = np.zeros((1, 3, _SIDE, _SIDE), np.float32)
    filled[0, :, : size[1], : size[0]] = ((small - _MEAN) / _STD).transpose(2, 0, 1)
    return filled


def _points(prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """All points with their kinds; one area is all that these models take."""
    bounds = prompt.bounds()
    corners = np.zeros((1, 2)) if bounds is None else bounds.reshape(2, 2)
    kinds = [_NOTHING] if bounds is None else [_LEFT_TOP, _RIGHT_BOTTOM]
    # The middle of a pixel that was clicked.
    points = np.concatenate([prompt.positive + 0.5, prompt.negative + 0.5, corners])
    return points, np.array([_POSITIVE] * len(prompt.positive) + [_NEGATIVE] * len(prompt.negative) + kinds)


def _resized(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2

    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
