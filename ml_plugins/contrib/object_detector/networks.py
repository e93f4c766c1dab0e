"""Detectors of torchvision, by name: its SSD on EfficientNet-Lite0, or one of its own with a file of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.contrib.image_classifier.backbones import read_state
from ml_plugins.exceptions import ParameterError
from ml_plugins.torch_support import import_torchvision, pick_device

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFAULT = 'efficientnet_lite0'
SIDE = 320
# Those without roi_align, which is very slow where torchvision has no compiled operators.
_FAMILIES = ('ssd', 'retinanet')
_LARGER_SIDE = 640
_SCALES = (0.1, 0.2, 0.375, 0.55, 0.75, 0.95)
_LITE_MEAN, _LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3


@dataclass(frozen=True)
class Found:
    """What a network sees in one picture.

    Attributes:
        boxes: Left, top, right and bottom as shares of the picture's sides, of shape (n, 4), the surest first.
        labels: Places in the network's list of labels, of shape (n,).
        scores: Of shape (n,).
        embedding: Of shape (d,).
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Network:
    """A detector for some labels.

    Attributes:
        module: One of torchvision's detection models.
        side: Pictures are given to it as squares of this side.
    """

    name: str
    module: nn.Module
    labels: tuple[str, ...]
    side: int
    device: str

    @property
    def has_frozen_base(self) -> bool:
        """Whether what its base sees of a picture stays the same while the rest learns."""
        return self.name == DEFAULT and not self.module.backbone.learns

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Found]:
        """Detect in squares of bytes, each of shape (3, side, side)."""
        import torch

        maps: list[Any] = []
        handle = self.module.backbone.register_forward_hook(lambda *call: maps.append(call[-1]))
        self.module.eval()
        try:
            with torch.inference_mode():
                answers = self.module([self.tensor(picture) for picture in pictures])
        finally:
            handle.remove()
        coarse = list(maps[0].values())[2 if self.name == DEFAULT else -1].mean((2, 3)).float().cpu().numpy()
        return [
            Found(
                answer['boxes'].cpu().numpy().astype(float) / self.side,
                answer['labels'].cpu().numpy() - 1,
                answer['scores'].cpu().numpy().astype(float),
                row,
            )
            for answer, row in zip(answers, coarse, strict=True)
        ]

    def tensor(self, picture: np.ndarray) -> Tensor:
        """A picture as the module takes it."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(picture)).to(self.device).float() / 255


def check_name(name: str) -> None:
    """Refuse an unknown detector.

    Raises:
        ParameterError: Lists what there is.
    """
    if name != DEFAULT and name not in (known := _torchvision_names()):
        raise ParameterError(f'parameter "network": there is no "{name}"; there are {DEFAULT}, {", ".join(known)}')


def build(
    name: str, labels: Sequence[str], device: str = 'auto', weights: str = '', learns: bool = False, seed: int = 0
) -> Network:
    """A detector for the labels; its new layers begin at random, the same each time for a seed.

    Args:
        name: `DEFAULT`, or an SSD or RetinaNet of torchvision.
        weights: A state dict (``.safetensors``, or a file that torch saved), e.g. of torchvision's weights for COCO;
            layers that are made for other labels are left out.
        learns: Whether the base learns too.

    Raises:
        ParameterError: The name is unknown, the file does not hold such weights, or the device is not there.
    """
    import torch

    import_torchvision()
    check_name(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _lite0_ssd(len(labels) + 1) if name == DEFAULT else _of_torchvision(name, len(labels) + 1)
    if weights:
        _load_weights(module, Path(weights), name)
    if name == DEFAULT:
        module.backbone.learns = learns
        module.backbone.base.requires_grad_(learns)
    device = pick_device(device)
    side = _LARGER_SIDE if name.startswith('retinanet') else SIDE
    return Network(name, module.to(device).eval(), tuple(labels), side, device)


def state_of(network: Network) -> dict[str, Tensor]:
    """What a version has to store: all but a base that any installation has."""
    state = network.module.state_dict()
    return {key: value for key, value in state.items() if not (network.has_frozen_base and '.base.' in key)}


def put_state(network: Network, state: Mapping[str, Tensor]) -> None:
    """The reverse of `state_of`. Raises `ValueError` where something is missing or left over."""
    wanted = set(state_of(network))
    if wanted != set(state):
        odd = sorted(wanted ^ set(state))
        raise ValueError(f'{len(odd)} layers are missing or unknown, e.g. {odd[0]}')
    network.module.load_state_dict(state, strict=False)


def _lite0_ssd(classes: int) -> nn.Module:
    from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
    from torchvision.models.detection.ssd import SSD
    from torchvision.models.detection.ssdlite import SSDLiteHead

    from ml_plugins.contrib.object_detector.pyramid import CHANNELS, LEVELS, lite0_pyramid, norm

    anchors = DefaultBoxGenerator([[2, 3]] * LEVELS, scales=list(_SCALES))
    head = SSDLiteHead([CHANNELS] * LEVELS, anchors.num_anchors_per_location(), classes, norm)
    return SSD(
        lite0_pyramid(), anchors, (SIDE, SIDE), classes, _LITE_MEAN, _LITE_STD, head,
        score_thresh=0.01, nms_thresh=0.5, detections_per_img=100, topk_candidates=100,
    )  # fmt: skip


def _torchvision_names() -> list[str]:
    torchvision = import_torchvision()
    names = torchvision.models.list_models(module=torchvision.models.detection)
    return [name for name in names if name.startswith(_FAMILIES)]


def _of_torchvision(name: str, classes: int) -> nn.Module:
    torchvision = import_torchvision()
    options = {'min_size': _LARGER_SIDE, 'max_size': _LARGER_SIDE} if name.startswith('retinanet') else {}
    return torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=classes, **options)


def _load_weights(module: nn.Module, path: Path, name: str) -> None:
    try:
        state = read_state(path)
    except FileNotFoundError:
        raise ParameterError(f'parameter "weights": there is no file {path}') from None
    except Exception as error:
        raise ParameterError(f'parameter "weights": {path} is not a file of weights: {error}') from error
    own = module.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    # Only the last layers differ with the labels.
    if len(fitting) < len(own) / 2:
        raise ParameterError(f'parameter "weights": {path} does not fit {name}: {len(fitting)} of {len(own)} layers do')
    module.load_state_dict(fitting, strict=False)
