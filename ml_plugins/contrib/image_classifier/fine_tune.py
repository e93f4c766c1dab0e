"""Full fine-tuning: backbone and heads learn together, starting from heads that were trained on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.image_classifier.backbones import Backbone
from ml_plugins.contrib.image_classifier.checkpoint import Checkpoint, State
from ml_plugins.contrib.image_classifier.head import Head, loss, target_matrix
from ml_plugins.contrib.image_classifier.pictures import as_batch, chunks, load
from ml_plugins.contrib.image_classifier.targets import Picture
from ml_plugins.exceptions import TaskDataError

if TYPE_CHECKING:
    from torch import Tensor, nn

_WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: 0 leaves the backbone as it is.
        learning_rate: Of the backbone; heads learn ten times as fast.
    """

    epochs: int
    batch_size: int
    learning_rate: float

    def steps(self, pictures: int) -> int:
        """Number of pictures seen in all epochs."""
        return self.epochs * pictures


def fine_tune(
    backbone: Backbone,
    heads: Sequence[Head],
    pictures: Sequence[Picture],
    run: Run,
    schedule: Schedule,
    done: int,
    total: int,
) -> list[Head]:
    """Train everything on the pictures; changes the backbone's weights and returns the new heads.

    A run whose process ended goes on after its last whole epoch, to the same weights.

    Args:
        pictures: Those to learn from; pictures are read again in each epoch and are not kept in memory.
        done: Steps of the run that are behind it, each picture being one.
        total: Steps of the whole run.
    """
    import torch

    layers = {head.control: _as_layer(head, backbone.device) for head in heads}
    # Evaluation mode stays on: statistics of batches as small as these would only blur those of the pretraining.
    optimizer = torch.optim.AdamW(
        [
            {'params': list(backbone.module.parameters()), 'lr': schedule.learning_rate},
            {'params': [p for layer in layers.values() for p in layer.parameters()], 'lr': 10 * schedule.learning_rate},
        ],
        weight_decay=_WEIGHT_DECAY,
    )
    state = State(backbone.module, layers, optimizer, np.random.default_rng(run.seed))
    checkpoint = Checkpoint(run, {'schedule': asdict(schedule), 'pictures': len(pictures), 'heads': _signature(heads)})
    begun = checkpoint.load(state, backbone.device)
    done += begun * len(pictures)
    run.progress(done, total)
    for epoch in range(begun, schedule.epochs):
        losses = []
        order = [pictures[index] for index in state.random.permutation(len(pictures))]
        for batch in chunks(order, schedule.batch_size):
            value = _step(backbone, heads, layers, batch, run, state.random, optimizer)
            if value is not None:
                losses.append(value)
            done += len(batch)
            run.progress(done, total)
        if losses:
            run.log(f'Epoch {epoch + 1} of {schedule.epochs}: loss {np.mean(losses):.3f}')
        if epoch + 1 < schedule.epochs:
            checkpoint.save(state, epoch + 1)
    return [_as_head(head, layers[head.control]) for head in heads]


def _step(
    backbone: Backbone,
    heads: Sequence[Head],
    layers: dict[str, nn.Linear],
    batch: Sequence[Picture],
    run: Run,
    random: np.random.Generator,
    optimizer: Any,
) -> float | None:
    import torch

    readable, squares = [], []
    for picture in batch:
        # Each was readable when its features were made; one that has gone since is left out.
        try:
            square = load(picture.task, picture.key)
        except TaskDataError as error:
            run.log(f'{error}; left out')
            continue
        readable.append(picture)
        squares.append(square[:, :, ::-1] if random.random() < 0.5 else square)
    if not squares:
        return None
    features = backbone.features(as_batch(squares, backbone.device))
    total = features.new_zeros(())
    for head in heads:
        rows = [index for index, picture in enumerate(readable) if head.control in picture.answers]
        if rows:
            targets = target_matrix(head.labels, [readable[index].answers[head.control] for index in rows])
            logits = layers[head.control](features[rows])
            total = total + loss(logits, torch.from_numpy(targets).to(backbone.device), head.multiple)
    if not total.requires_grad:
        return None
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return float(total.detach())


def _signature(heads: Sequence[Head]) -> list[list[Any]]:
    return [[head.control, list(head.labels), head.multiple] for head in heads]


def _as_layer(head: Head, device: str) -> nn.Linear:
    """The head as a layer on plain features: centring and scaling are folded into its weights."""
    import torch

    weight = head.weight / head.scale
    layer = torch.nn.Linear(*weight.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.T.copy()))
        layer.bias.copy_(torch.from_numpy(head.bias - head.mean @ weight))
    return layer.to(device)


def _as_head(head: Head, layer: nn.Linear) -> Head:
    def array(tensor: Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy()

    weight = np.ascontiguousarray(array(layer.weight).T)
    return replace(head, mean=np.zeros_like(head.mean), scale=1.0, weight=weight, bias=array(layer.bias))
