"""A pipeline of transformers as a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ml_plugins.adapters.base import Adapter
from ml_plugins.adapters.extras import require
from ml_plugins.adapters.sounds import read_sound
from ml_plugins.adapters.values import Box, Mask, Span
from ml_plugins.backend import Serves
from ml_plugins.exceptions import MLPluginError, PluginBrokenError, PredictionError
from ml_plugins.torch_support import import_torchvision, pick_device
from ml_plugins.types import Task


@dataclass(frozen=True)
class _Kind:
    """One kind of pipeline.

    Attributes:
        serves: Tags that it answers where the author names none.
        decode: From what the pipeline says about one input to a value.
        options: Passed to each call of the pipeline.
        takes_labels: The labels of the control are given to the pipeline with each call.
    """

    serves: Sequence[Serves]
    decode: Callable[[Any], Any]
    options: Mapping[str, Any]
    takes_labels: bool = False


class TransformersBackend(Adapter):
    """Answers with what a pipeline of transformers says.

    Attributes:
        task: Kind of the pipeline, e.g. ``"text-classification"``; `serves` follows from it where it is not set.
        model: Name of a model on the hub, or a folder.
        revision: Which state of it, a commit; the hub's owner of the model may change it otherwise.
        options: Passed to each call of the pipeline, e.g. ``{"truncation": True}``.
    """

    task: ClassVar[str] = ''
    model: ClassVar[str] = ''
    revision: ClassVar[str] = ''
    options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """The tags that the pipeline answers, where the subclass names none."""
        super().__init_subclass__(**kwargs)
        if cls.task in _KINDS and not cls.serves:
            cls.serves = tuple(_KINDS[cls.task].serves)

    def pipeline(self) -> Any:
        """The pipeline; override it for one that is made in another way."""
        from transformers import pipeline

        if not self.model:
            raise PluginBrokenError(f'{type(self).__name__}.model is not set; name a model of the hub or a folder')
        return pipeline(
            self.task,
            model=self.model,
            revision=self.revision or None,
            device=self.torch_device,
            trust_remote_code=False,
        )

    def load(self) -> None:
        if self.task not in _KINDS:
            raise PluginBrokenError(
                f'{type(self).__name__}.task is {self.task!r}; there are {", ".join(sorted(_KINDS))}'
            )
        # A torchvision without its compiled operators is mended before transformers imports it.
        import_torchvision()
        require('transformers', 'transformers', type(self).__name__)
        self.torch_device = pick_device(self.device)
        try:
            self.pipe = self.pipeline()
        except MLPluginError:
            raise
        except (OSError, ValueError) as error:
            raise PluginBrokenError(f'the model "{self.model}" cannot be loaded: {error}') from error
        if not self.labels and not _KINDS[self.task].takes_labels and self.control.labels:
            self.labels = self._labels_of_model()

    def read(self, task: Task) -> Any:
        given = super().read(task)
        if isinstance(given, Path):
            return read_sound(task, self.control.value, given)
        return given

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        kind = _KINDS[self.task]
        options = {**kind.options, **self.options}
        if kind.takes_labels:
            options = {
                'candidate_labels': list(self.control.labels),
                'multi_label': self.control.is_multiple,
                **options,
            }
        # A sound is changed by its pipeline.
        given = [dict(item) if isinstance(item, Mapping) else item for item in inputs]
        outputs = self.pipe(given, batch_size=len(given), **options)
        return outputs if isinstance(outputs, list) and len(inputs) == len(outputs) else list(outputs)

    def postprocess(self, output: Any, given: Any) -> Any:
        return _KINDS[self.task].decode(output)

    def _labels_of_model(self) -> tuple[str, ...]:
        named = getattr(getattr(self.pipe.model, 'config', None), 'id2label', None) or {}
        names = [str(named[place]) for place in sorted(named)]
        if self.task == 'token-classification':
            # B- and I- say where an entity begins and goes on; O is none.
            names = [
                name.partition('-')[2] if name[:2] in ('B-', 'I-', 'E-', 'S-', 'L-', 'U-') else name for name in names
            ]
            names = [name for name in dict.fromkeys(names) if name != 'O']
        return tuple(names)


def _shares(output: Any) -> dict[str, float]:
    if isinstance(output, Mapping) and 'scores' in output:
        return dict(zip(output['labels'], output['scores'], strict=True))
    return {item['label']: item['score'] for item in ([output] if isinstance(output, Mapping) else output)}


def _spans(output: Any) -> list[Span]:
    found = []
    for item in output:
        if item.get('start') is None or item.get('end') is None:
            raise PredictionError('the tokenizer gives no places of its tokens; use a fast tokenizer')
        name = item.get('entity_group', item.get('entity', ''))
        found.append(Span(item['start'], item['end'], name, item['score']))
    return found


def _boxes(output: Any) -> list[Box]:
    sides = ('xmin', 'ymin', 'xmax', 'ymax')
    return [Box(*(item['box'][side] for side in sides), item['label'], item['score']) for item in output]


def _masks(output: Any) -> list[Mask]:
    return [Mask(item['mask'], item['label'], item['score']) for item in output]


def _text(output: Any) -> str:
    return str(output['text']).strip()


_CHOICES = (Serves('Choices', 'Text'), Serves('Choices', 'HyperText'))
_KINDS: Mapping[str, _Kind] = {
    'text-classification': _Kind(_CHOICES, _shares, {'top_k': None, 'truncation': True}),
    'zero-shot-classification': _Kind(_CHOICES, _shares, {}, takes_labels=True),
    'token-classification': _Kind((Serves('Labels', 'Text'),), _spans, {'aggregation_strategy': 'simple'}),
    'image-classification': _Kind((Serves('Choices', 'Image'),), _shares, {'top_k': None}),
    'audio-classification': _Kind((Serves('Choices', 'Audio'),), _shares, {'top_k': None}),
    'object-detection': _Kind((Serves('RectangleLabels', 'Image'),), _boxes, {}),
    'image-segmentation': _Kind((Serves('BrushLabels', 'Image'),), _masks, {}),
    'automatic-speech-recognition': _Kind((Serves('TextArea', 'Audio'),), _text, {}),
}
