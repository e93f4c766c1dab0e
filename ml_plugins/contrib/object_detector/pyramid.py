"""EfficientNet-Lite0 as the backbone of a detector: what its layers see, joined from coarse to fine."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

# Blocks after which a picture is 8, 16 and 32 times smaller, and the channels there.
_TAPS = {4: 40, 10: 112, 15: 320}
CHANNELS = 96
LEVELS = 5


def norm(channels: int) -> nn.Module:
    """Normalisation that does not depend on the batch, which is small here."""
    from torch import nn

    return nn.GroupNorm(8, channels)


def lite0_pyramid() -> nn.Module:
    """A module that gives torchvision's detectors five feature maps of `CHANNELS` channels.

    Its ``base`` has ImageNet's weights and is frozen until ``learns`` is set. ``given`` may hold what the base made of
    the next batch before, so that it is not computed again.
    """
    from torch import nn
    from torch.nn import functional
    from torchvision.ops.misc import Conv2dNormActivation

    from ml_plugins.contrib.image_classifier.backbones import load_backbone

    class Pyramid(nn.Module):
        out_channels = CHANNELS

        def __init__(self) -> None:
            super().__init__()
            self.base = load_backbone(device='cpu').module
            # What listens to its layers is for the classifier's features, and would keep them.
            for block in self.base._blocks:
                block._forward_hooks.clear()
            self.learns = False
            self.given: list[Tensor] | None = None
            self.lateral = nn.ModuleList(nn.Conv2d(channels, CHANNELS, 1) for channels in _TAPS.values())
            self.joined = nn.ModuleList(_separable(Conv2dNormActivation, 1) for _ in _TAPS)
            self.smaller = nn.ModuleList(_separable(Conv2dNormActivation, 2) for _ in range(LEVELS - len(_TAPS)))

        def levels(self, pictures: Tensor) -> list[Tensor]:
            """What the base sees."""
            import torch

            with torch.set_grad_enabled(self.learns and torch.is_grad_enabled()):
                found, value = [], self.base._swish(self.base._bn0(self.base._conv_stem(pictures)))
                for place, block in enumerate(self.base._blocks):
                    value = block(value)
                    if place in _TAPS:
                        found.append(value)
            return found

        def forward(self, pictures: Tensor) -> OrderedDict[str, Tensor]:
            levels = self.given if self.given is not None else self.levels(pictures)
            maps = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
            for fine in (1, 0):
                size = maps[fine].shape[-2:]
                maps[fine] = maps[fine] + functional.interpolate(maps[fine + 1], size=size, mode='nearest')
            maps = [joined(value) for joined, value in zip(self.joined, maps, strict=True)]
            for smaller in self.smaller:
                maps.append(smaller(maps[-1]))
            return OrderedDict((str(number), value) for number, value in enumerate(maps))

    return Pyramid()


def _separable(layer: type, stride: int) -> nn.Module:
    """A convolution of three by three pixels, each channel alone, and then one across the channels."""
    from torch import nn

    options = {'norm_layer': norm, 'activation_layer': nn.ReLU6}
    return nn.Sequential(
        layer(CHANNELS, CHANNELS, 3, stride=stride, groups=CHANNELS, **options),
        layer(CHANNELS, CHANNELS, 1, **options),
    )
