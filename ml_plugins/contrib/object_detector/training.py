"""Learning: batches of pictures, mirrored at random, until the epochs are over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.object_detector.checkpoint import Checkpoint
from ml_plugins.contrib.object_detector.measure import Boxes, mean_average_precision
from ml_plugins.contrib.object_detector.networks import Network
from ml_plugins.contrib.object_detector.photos import Photo, as_square
from ml_plugins.exceptions import TaskDataError

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHT_DECAY = 0.01
_WARM_UP = 0.1
# A base that knows pictures already changes this much more slowly than what is new.
_BASE_SHARE = 0.1
_LARGEST_GRADIENT = 5.0
# Pictures, each with its mirror image, whose features are kept in memory: half a megabyte each.
_MOST_KEPT = 500


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    batch_size: int
    learning_rate: float

    def rate_at(self, share: float) -> float:
        """The learning rate after a share of all steps: up quickly, and down along a cosine."""
        if share < _WARM_UP:
            return self.learning_rate * (share / _WARM_UP * 0.9 + 0.1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


class Shelf:
    """Squares of a run's pictures, and what a frozen base sees of them; unreadable ones are reported once."""

    def __init__(self, network: Network, control_value: str, run: Run) -> None:
        self._network, self._key, self._run = network, control_value, run
        self._levels: dict[tuple[int | None, bool], list[np.ndarray]] = {}
        self._skipped: set[int | None] = set()
        self._read: set[int | None] = set()

    @property
    def readable(self) -> int:
        """How many pictures could be read so far."""
        return len(self._read - self._skipped)

    def square(self, photo: Photo) -> np.ndarray | None:
        """The picture, or None."""
        if photo.task.id in self._skipped:
            return None
        try:
            image = photo.task.image(self._key)
            self._read.add(photo.task.id)
            return as_square(image, self._network.side)
        except TaskDataError as error:
            self._skipped.add(photo.task.id)
            self._run.skip(photo.task.id, str(error))
            return None

    def levels(self, photo: Photo, mirrored: bool) -> list[Tensor] | None:
        """What the frozen base sees of a picture, kept between epochs."""
        import torch

        name = photo.task.id, mirrored
        if name not in self._levels:
            square = self.square(photo)
            if square is None:
                return None
            pixels = self._network.tensor(_mirrored(square) if mirrored else square)[None]
            mean, std = (pixels.new_tensor(value).view(3, 1, 1) for value in _statistics(self._network))
            with torch.no_grad():
                found = self._network.module.backbone.levels((pixels - mean) / std)
            kept = [level[0].half().cpu().numpy() for level in found]
            if len(self._levels) >= 2 * _MOST_KEPT:
                return [torch.from_numpy(level).float() for level in kept]
            self._levels[name] = kept
        return [torch.from_numpy(level).float() for level in self._levels[name]]


def learn(network: Network, photos: Sequence[Photo], shelf: Shelf, run: Run, schedule: Schedule, total: int) -> None:
    """Change the network's weights; goes on after the last whole epoch of an attempt that was killed."""
    import torch

    own = [item for name, item in network.module.named_parameters() if item.requires_grad and '.base.' not in name]
    base = [item for name, item in network.module.named_parameters() if item.requires_grad and '.base.' in name]
    groups = [{'params': own, 'share': 1.0}, {'params': base, 'share': _BASE_SHARE}]
    optimizer = torch.optim.AdamW([group for group in groups if group['params']], weight_decay=_WEIGHT_DECAY)
    random = np.random.default_rng(run.seed)
    setup = {'schedule': asdict(schedule), 'labels': network.labels, 'photos': len(photos), 'network': network.name}
    checkpoint = Checkpoint(run, setup, network, optimizer, random)
    begun = checkpoint.load()
    done = begun * len(photos)
    run.progress(done, total)
    for epoch in range(begun, schedule.epochs):
        losses = []
        order = random.permutation(len(photos))
        for start in range(0, len(order), schedule.batch_size):
            batch = [photos[place] for place in order[start : start + schedule.batch_size]]
            rate = schedule.rate_at((epoch * len(photos) + start) / (schedule.epochs * len(photos)))
            for group in optimizer.param_groups:
                group['lr'] = rate * group['share']
            losses += _step(network, batch, random.random(len(batch)) < 0.5, shelf, optimizer)
            done += len(batch)
            run.progress(done, total)
        if losses:
            run.log(f'Epoch {epoch + 1} of {schedule.epochs}: loss {np.mean(losses):.3f}')
        if epoch + 1 < schedule.epochs:
            checkpoint.save(epoch + 1)
    network.module.eval()


def precision(network: Network, photos: Sequence[Photo], shelf: Shelf, run: Run, done: int, total: int) -> float | None:
    """Mean average precision at an overlap of a half; None where no picture with a box can be read."""
    found, truth = [], []
    for photo in photos:
        square = shelf.square(photo)
        if square is not None:
            (item,) = network.detect([square])
            found.append(Boxes(item.boxes, [network.labels[place] for place in item.labels], item.scores))
            truth.append(Boxes(photo.boxes, photo.labels))
        done += 1
        run.progress(done, total)
    return mean_average_precision(found, truth) if any(len(boxes.labels) for boxes in truth) else None


def _step(network: Network, batch: Sequence[Photo], mirrored: np.ndarray, shelf: Shelf, optimizer: Any) -> list[float]:
    import torch

    images, targets, given = [], [], []
    for photo, mirror in zip(batch, mirrored.tolist(), strict=True):
        if network.has_frozen_base:
            levels = shelf.levels(photo, mirror)
            if levels is None:
                continue
            given.append(levels)
            # The pixels are not looked at any more, only their number.
            images.append(torch.zeros((3, network.side, network.side), device=network.device))
        else:
            square = shelf.square(photo)
            if square is None:
                continue
            images.append(network.tensor(_mirrored(square) if mirror else square))
        targets.append(_target(network, photo, mirror))
    if not images or not any(len(target['labels']) for target in targets):
        return []
    network.module.train()
    _keep_statistics(network)
    if given:
        network.module.backbone.given = [torch.stack(level).to(network.device) for level in zip(*given, strict=True)]
    try:
        loss = sum(network.module(images, targets).values())
    finally:
        if given:
            network.module.backbone.given = None
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group['params']], _LARGEST_GRADIENT)
    optimizer.step()
    return [float(loss.detach())]


def _target(network: Network, photo: Photo, mirrored: bool) -> dict[str, Tensor]:
    import torch

    known = [place for place, label in enumerate(photo.labels) if label in network.labels]
    boxes = photo.boxes[known]
    if mirrored:
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (1, 0, 1, 0)
    labels = [network.labels.index(photo.labels[place]) + 1 for place in known]
    return {
        'boxes': torch.tensor(boxes * network.side, dtype=torch.float32, device=network.device).reshape(-1, 4),
        'labels': torch.tensor(labels, dtype=torch.int64, device=network.device),
    }


def _keep_statistics(network: Network) -> None:
    """Leave normalisations as they are: batches are too small to learn their statistics from."""
    from torch import nn

    for module in network.module.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _mirrored(square: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(square[:, :, ::-1])


def _statistics(network: Network) -> tuple[Any, Any]:
    transform = network.module.transform
    return transform.image_mean, transform.image_std
