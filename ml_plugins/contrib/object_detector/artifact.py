"""A trained detector as the files of a version: ``config.json`` and ``detector.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path

from ml_plugins.contrib.object_detector.networks import Network, build, put_state, state_of
from ml_plugins.exceptions import MLPluginError, ModelVersionError

CONFIG = 'config.json'
WEIGHTS = 'detector.safetensors'
_FORMAT = 1


def save(directory: Path, network: Network) -> None:
    """Write a network; a base that any installation has is not stored."""
    from safetensors.torch import save as pack

    state = {name: tensor.detach().contiguous().cpu() for name, tensor in state_of(network).items()}
    (directory / WEIGHTS).write_bytes(pack(state))
    config = {
        'format': _FORMAT,
        'network': network.name,
        'labels': list(network.labels),
        'whole': not network.has_frozen_base,
    }
    (directory / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding='utf-8')


def load(directory: Path, device: str = 'auto') -> Network:
    """Load what `save` wrote.

    Raises:
        ModelVersionError: A file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as unpack

    try:
        config = json.loads((directory / CONFIG).read_text(encoding='utf-8'))
        if config['format'] != _FORMAT:
            raise ModelVersionError(f'{directory / CONFIG} has format {config["format"]}; this release reads {_FORMAT}')
        network = build(config['network'], tuple(config['labels']), device, learns=config['whole'])
        put_state(network, unpack((directory / WEIGHTS).read_bytes()))
    except ModelVersionError:
        raise
    except (MLPluginError, SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelVersionError(f'the model in {directory} cannot be loaded: {error}') from error
    return network
