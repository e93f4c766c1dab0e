"""EfficientNet-Lite as it is computed when nothing is learned: twice as quick on processors, with the same numbers.

Each normalisation is a fixed scale and shift by then and goes into the weights before it. Convolutions of one pixel are
matrix products, for which torch has no quick path with few pictures and one thread. Zeros are added by the
convolutions themselves, where both sides get as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_NO_PADDING = (0, 0, 0, 0)


@dataclass(frozen=True)
class FoldedConv:
    """A convolution with the normalisation after it.

    Attributes:
        weight: Of shape (out, in) for one pixel, else (out, in, height, width).
        even: Zeros added above and below, left and right.
        uneven: Zeros added left, right, above and below, where the sides differ.
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, ...]
    groups: int
    even: tuple[int, int] = (0, 0)
    uneven: tuple[int, ...] | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        from torch.nn import functional

        if self.weight.dim() == 2:
            return functional.linear(inputs.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)
        if self.uneven:
            inputs = functional.pad(inputs, self.uneven)
        return functional.conv2d(inputs, self.weight, self.bias, self.stride, self.even, 1, self.groups)


@dataclass(frozen=True)
class FoldedBlock:
    """An inverted residual block; `expand` is None where it does not widen."""

    expand: FoldedConv | None
    depthwise: FoldedConv
    project: FoldedConv
    adds: bool

    def __call__(self, inputs: Tensor) -> Tensor:
        found = inputs if self.expand is None else self.expand(inputs).clamp_(0, 6)
        found = self.project(self.depthwise(found).clamp_(0, 6))
        return found.add_(inputs) if self.adds else found


@dataclass(frozen=True)
class FoldedLite:
    """The pooled activations of the last layer and of one block."""

    stem: FoldedConv
    blocks: Sequence[FoldedBlock]
    head: FoldedConv
    block: int

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Activations of shape (n, channels) for pictures of shape (n, 3, height, width)."""
        found = self.stem(inputs).clamp_(0, 6)
        for index, block in enumerate(self.blocks):
            found = block(found)
            if index == self.block:
                below = found.mean((2, 3))
        return self.head(found).clamp_(0, 6).mean((2, 3)), below


def fold(network: nn.Module, block: int) -> FoldedLite:
    """Fold an ``EfficientNet`` in evaluation mode, which stays as it is.

    Args:
        block: Index of the block whose activations are wanted beside the last.
    """
    blocks = [_fold_block(item) for item in network._blocks]
    stem, head = _fold(network._conv_stem, network._bn0), _fold(network._conv_head, network._bn1)
    return FoldedLite(stem, blocks, head, block)


def _fold_block(block: nn.Module) -> FoldedBlock:
    shape = block._block_args
    same_size, same_channels = shape.stride in (1, [1]), shape.input_filters == shape.output_filters
    return FoldedBlock(
        _fold(block._expand_conv, block._bn0) if shape.expand_ratio != 1 else None,
        _fold(block._depthwise_conv, block._bn1),
        _fold(block._project_conv, block._bn2),
        adds=bool(block.id_skip and same_size and same_channels),
    )


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> FoldedConv:
    import torch

    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    weight = conv.weight.detach() * scale.view(-1, 1, 1, 1)
    bias = norm.bias.detach() - norm.running_mean * scale
    stride = tuple(conv.stride)
    if weight.shape[2:] == (1, 1) and conv.groups == 1 and stride == (1, 1):
        return FoldedConv(weight[:, :, 0, 0].contiguous(), bias, stride, 1)
    left, right, top, bottom = padding = getattr(conv.static_padding, 'padding', _NO_PADDING)
    is_even = left == right and top == bottom
    weight = weight.contiguous(memory_format=torch.channels_last)
    even, uneven = ((top, left), None) if is_even else ((0, 0), tuple(padding))
    return FoldedConv(weight, bias, stride, conv.groups, even, uneven)
