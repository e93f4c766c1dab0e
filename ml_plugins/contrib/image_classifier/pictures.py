"""From a task's picture to the numbers a backbone takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ml_plugins.task_data import decoded
from ml_plugins.types import Task

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SIDE = 224

Item = TypeVar('Item')


def square(image: Image) -> np.ndarray:
    """A picture as bytes of shape (3, 224, 224).

    Labels speak of whole pictures: it is squeezed, not cropped, which would lose what lies at the sides.
    """
    from PIL.Image import Resampling

    small = image.resize((SIDE, SIDE), Resampling.BICUBIC, reducing_gap=3)
    return np.ascontiguousarray(np.asarray(small, dtype=np.uint8).transpose(2, 0, 1))


@dataclass(frozen=True)
class Content:
    """The bytes of one field of a task."""

    task: Task
    key: str
    content: bytes


def content_of(wanted: tuple[Task, str]) -> Content:
    """Read the file of one field. Raises `TaskDataError`."""
    task, key = wanted
    return Content(task, key, task.bytes(key))


def square_of(content: Content) -> np.ndarray:
    """The picture, decoded, as `square` gives it. Raises `TaskDataError`."""
    return square(decoded(content.task, content.key, content.content))


def load(task: Task, key: str) -> np.ndarray:
    """The picture of one field, as `square` gives it. Raises `TaskDataError`."""
    return square(task.image(key))


def as_batch(squares: Sequence[np.ndarray], device: str) -> Tensor:
    """Pictures as one tensor of bytes on the device."""
    import torch

    return torch.from_numpy(np.stack(squares)).to(device, memory_format=torch.channels_last)


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive pieces of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
