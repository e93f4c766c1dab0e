"""Training between two epochs as a file, so that a run whose process ended goes on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.backend import Run
from ml_plugins.contrib.object_detector.networks import Network, put_state, state_of

if TYPE_CHECKING:
    from torch.optim import Optimizer

logger = logging.getLogger(__name__)

_FILE = 'detector.pt'


class Checkpoint:
    """The checkpoint of one run.

    Args:
        setup: What has to be equal for going on; with anything else training starts over.
    """

    def __init__(
        self, run: Run, setup: Mapping[str, Any], network: Network, optimizer: Optimizer, random: np.random.Generator
    ) -> None:
        self._run, self._network, self._optimizer, self._random = run, network, optimizer, random
        self._path = run.checkpoint_directory / _FILE
        self._setup = json.dumps(setup, sort_keys=True)

    def load(self) -> int:
        """Put the state back; gives how many epochs are behind it, 0 when there is no checkpoint that can be used."""
        import torch

        if not self._path.exists():
            return 0
        try:
            saved = torch.load(self._path, map_location=self._network.device, weights_only=True)
        except Exception as error:
            self._run.log(f'The checkpoint of an earlier attempt cannot be read ({error}); training starts over.')
            return 0
        if saved['setup'] != self._setup:
            self._run.log('The checkpoint of an earlier attempt is of other labels; training starts over.')
            return 0
        put_state(self._network, saved['network'])
        self._optimizer.load_state_dict(saved['optimizer'])
        self._random.bit_generator.state = json.loads(saved['random'])
        self._run.log(f'An earlier attempt at this run did {saved["epochs"]} epochs; training goes on from there.')
        return int(saved['epochs'])

    def save(self, epochs: int) -> None:
        """Write the state after so many epochs; a full disk costs a later attempt its time, not this one its result."""
        import torch

        content = {
            'setup': self._setup,
            'epochs': epochs,
            'network': state_of(self._network),
            'optimizer': self._optimizer.state_dict(),
            'random': json.dumps(self._random.bit_generator.state),
        }
        unfinished = self._path.with_suffix('.part')
        try:
            torch.save(content, unfinished)
            unfinished.replace(self._path)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            logger.warning('no checkpoint was written after %s epochs: %s', epochs, error)
