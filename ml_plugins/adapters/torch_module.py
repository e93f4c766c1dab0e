"""A torch module as a backend; its training, where it is wanted, is in `torch_training`."""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ml_plugins.adapters.base import Adapter
from ml_plugins.adapters.pictures import to_array
from ml_plugins.adapters.raw_outputs import Reading, read, rows_of
from ml_plugins.adapters.targets import check_trainable
from ml_plugins.backend import Dataset, Run
from ml_plugins.exceptions import ModelVersionError, PluginBrokenError
from ml_plugins.label_config import LabelConfig
from ml_plugins.params import Param
from ml_plugins.torch_support import import_torchvision, pick_device

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = 'model.safetensors'
SETTINGS = 'model.json'
TRAINING = (
    Param('epochs', 5, 'Passes over the labeled tasks.', minimum=1, maximum=10_000),
    Param('learning_rate', 1e-3, 'Step size.', minimum=1e-8, maximum=10.0),
    Param('batch_size', 32, 'Tasks at a time while training.', minimum=1, maximum=4096),
)


class TorchBackend(Adapter):
    """A module with what comes before and after it.

    Attributes:
        weights: A file with the module's state, ``.safetensors`` or one that ``torch.load(weights_only=True)`` reads;
            relative to the file of the class. Empty for weights that `module` brings, and for none.
        trains: Whether it learns from the project's labels, for Choices, Number and Rating; then it has the parameters
            epochs, learning_rate and batch_size.
        logits: Whether the module's outputs are before the softmax, or the sigmoid of a multiple choice.
        picture_size: Width and height that pictures are scaled to; None leaves them, then `collate` makes a list.
        mean: Taken off each channel of a picture, in 0..1; empty for nothing.
        std: Divides each channel of a picture; empty for nothing.
    """

    weights: ClassVar[str] = ''
    trains: ClassVar[bool] = False
    logits: ClassVar[bool] = True
    picture_size: ClassVar[tuple[int, int] | None] = (224, 224)
    mean: ClassVar[Sequence[float]] = ()
    std: ClassVar[Sequence[float]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Add what training takes, where there is some; a module without weights has to be trained first."""
        super().__init_subclass__(**kwargs)
        if cls.trains and not cls.weights and 'needs_training' not in cls.__dict__:
            cls.needs_training = True
        known = {param.name for param in cls.params}
        if cls.trains:
            cls.params = (*cls.params, *(param for param in TRAINING if param.name not in known))

    # --- What a subclass says ----------------------------------------------------------------------------------------

    @abstractmethod
    def module(self) -> nn.Module:
        """The module; `names` has the labels that it is for, in order."""

    def preprocess(self, given: Any) -> Any:
        """The tensor for one input of `read`; by default of a picture, or of what has numbers."""
        import torch

        if hasattr(given, 'resize') and hasattr(given, 'convert'):
            return torch.from_numpy(to_array(given, self.picture_size, self.mean, self.std))
        if isinstance(given, (str, Path)):
            raise PluginBrokenError(
                f'{type(self).__name__} gets a {type(given).__name__} for each task; override preprocess() to make a '
                'tensor of it'
            )
        return torch.as_tensor(given, dtype=torch.float32)

    def collate(self, items: Sequence[Tensor]) -> Any:
        """A batch of what `preprocess` made: stacked, or a list where sizes may differ."""
        import torch

        if self.picture_size is None and self.control.object_tag == 'Image':
            return [item.to(self.torch_device) for item in items]
        return torch.stack(list(items)).to(self.torch_device)

    def forward(self, batch: Any) -> Any:
        """The module's outputs for a batch: a tensor with a row an input, a list, or tensors by name."""
        return self.model(batch)

    def postprocess(self, output: Any, given: Any) -> Any:
        """By default probabilities, numbers, masks of a segmentation's planes, or what torchvision's detectors find.

        Of outputs by name ``logits`` or ``out`` counts, and ``embedding`` serves active learning.
        """
        reading = Reading(self.naming, self.logits, self.picture_size, self.size(given))
        return read(output, reading)

    @property
    def names(self) -> Sequence[str]:
        """Labels that the module is for, in the order of its outputs."""
        return self.naming.names

    # --- The contract ------------------------------------------------------------------------------------------------

    @classmethod
    def can_fit(cls) -> bool:
        return cls.trains or cls.fit is not TorchBackend.fit

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        super().check(label_config)
        if cls.trains and cls.fit is TorchBackend.fit:
            check_trainable(cls.served_controls(label_config)[0])

    def load(self) -> None:
        if self.version is not None and (self.version.path / SETTINGS).exists():
            # Labels may have come or gone since: the module is made for those that it was trained on.
            self.labels = tuple(json.loads((self.version.path / SETTINGS).read_text(encoding='utf-8'))['labels'])
            self._namings.clear()
        self.build()
        if self.version is not None and (self.version.path / WEIGHTS).exists():
            self._load_weights(self.version.path / WEIGHTS)
        self.model.eval()

    def build(self) -> None:
        """Make the module with the weights that it comes with, on the device."""
        import_torchvision()
        self.torch_device = pick_device(self.device)
        self.model = self.module()
        if self.weights:
            self._load_weights(Path(inspect.getfile(type(self))).parent / self.weights)
        self.model.to(self.torch_device)

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        import torch

        with torch.inference_mode():
            batch = self.collate([self.preprocess(given) for given in inputs])
            return rows_of(self.forward(batch), len(inputs))

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        from ml_plugins.adapters.torch_training import train

        return train(self, dataset, run)

    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """What training makes small: cross-entropy, for a multiple choice of each label, for numbers squared errors."""
        from ml_plugins.adapters.torch_training import usual_loss

        return usual_loss(self.control, outputs, targets)

    def _load_weights(self, path: Path) -> None:
        import torch
        from safetensors.torch import load_model

        try:
            if path.suffix == '.safetensors':
                load_model(self.model, path)
            else:
                self.model.load_state_dict(torch.load(path, map_location='cpu', weights_only=True))
        except Exception as error:
            raise ModelVersionError(f'the weights in {path} cannot be loaded: {error}') from error
