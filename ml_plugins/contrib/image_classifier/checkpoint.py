"""Fine-tuning between two epochs as a file, so that a run whose process ended goes on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.backend import Run

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

logger = logging.getLogger(__name__)

_FILE = 'fine-tune.pt'


@dataclass(frozen=True)
class State:
    """Everything that an epoch changes."""

    backbone: nn.Module
    layers: Mapping[str, nn.Linear]
    optimizer: Optimizer
    random: np.random.Generator


class Checkpoint:
    """The checkpoint of one run.

    Args:
        run: Whose folder it lies in.
        setup: What has to be equal for going on, as JSON can hold it; with anything else training starts over.
    """

    def __init__(self, run: Run, setup: Mapping[str, Any]) -> None:
        self._run = run
        self._path = run.checkpoint_directory / _FILE
        self._setup = json.dumps(setup, sort_keys=True)

    def load(self, state: State, device: str) -> int:
        """Put the state back.

        Returns:
            How many epochs are behind it; 0 when there is no checkpoint that can be used.
        """
        import torch

        if not self._path.exists():
            return 0
        try:
            saved = torch.load(self._path, map_location=device, weights_only=True)
        except Exception as error:
            self._run.log(f'The checkpoint of an earlier attempt cannot be read ({error}); training starts over.')
            return 0
        if saved['setup'] != self._setup:
            self._run.log('The checkpoint of an earlier attempt is of other labels; training starts over.')
            return 0
        _put_back(state, saved)
        self._run.log(f'An earlier attempt at this run did {saved["epochs"]} epochs; training goes on from there.')
        return int(saved['epochs'])

    def save(self, state: State, epochs: int) -> None:
        """Write the state after so many epochs; a full disk costs a later attempt its time, not this one its result."""
        import torch

        content = {
            'setup': self._setup,
            'epochs': epochs,
            'backbone': state.backbone.state_dict(),
            'layers': {name: layer.state_dict() for name, layer in state.layers.items()},
            'optimizer': state.optimizer.state_dict(),
            'random': json.dumps(state.random.bit_generator.state),
        }
        unfinished = self._path.with_suffix('.part')
        try:
            torch.save(content, unfinished)
            unfinished.replace(self._path)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            logger.warning('no checkpoint was written after %s epochs: %s', epochs, error)


def _put_back(state: State, saved: Mapping[str, Any]) -> None:
    state.backbone.load_state_dict(saved['backbone'])
    for name, layer in state.layers.items():
        layer.load_state_dict(saved['layers'][name])
    state.optimizer.load_state_dict(saved['optimizer'])
    state.random.bit_generator.state = json.loads(saved['random'])
