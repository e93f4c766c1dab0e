"""A trained model as the files of a version: ``config.json``, ``head.safetensors`` and, where needed, the backbone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_plugins.contrib.image_classifier.backbones import Backbone, load_backbone
from ml_plugins.contrib.image_classifier.head import Head
from ml_plugins.exceptions import MLPluginError, ModelVersionError

CONFIG = 'config.json'
HEADS = 'head.safetensors'
BACKBONE = 'backbone.safetensors'
_FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A backbone with its trained heads, by control name.

    Attributes:
        fine_tuned: The backbone was trained as well; no other version has the same.
    """

    backbone: Backbone
    heads: dict[str, Head]
    fine_tuned: bool = False


def save(directory: Path, backbone: Backbone, heads: Sequence[Head], fine_tuned: bool) -> None:
    """Write a model; a backbone that any installation has is named, not stored."""
    from safetensors.numpy import save as pack_arrays
    from safetensors.torch import save as pack_tensors

    stored = fine_tuned or not backbone.bundled
    arrays = {}
    for index, head in enumerate(heads):
        arrays |= {f'{index}.mean': head.mean, f'{index}.weight': head.weight, f'{index}.bias': head.bias}
    config = {
        'format': _FORMAT,
        'backbone': backbone.name,
        'fingerprint': backbone.fingerprint,
        'backbone_stored': stored,
        'fine_tuned': fine_tuned,
        'heads': [
            {'control': head.control, 'labels': head.labels, 'multiple': head.multiple, 'scale': head.scale}
            for head in heads
        ],
    }
    (directory / HEADS).write_bytes(pack_arrays(arrays))
    if stored:
        state = {name: tensor.contiguous().cpu() for name, tensor in backbone.module.state_dict().items()}
        (directory / BACKBONE).write_bytes(pack_tensors(state))
    (directory / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding='utf-8')


def load(directory: Path, device: str = 'auto') -> Model:
    """Load what `save` wrote.

    Raises:
        ModelVersionError: A file is missing or damaged, or the installed weights are not those it was trained on.
    """
    try:
        config = json.loads((directory / CONFIG).read_text(encoding='utf-8'))
        if config['format'] != _FORMAT:
            raise ModelVersionError(f'{directory / CONFIG} has format {config["format"]}; this release reads {_FORMAT}')
        backbone = _load_backbone(directory, config, device).folded()
        return Model(backbone, _load_heads(directory, config), bool(config['fine_tuned']))
    except ModelVersionError:
        raise
    except (MLPluginError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelVersionError(f'the model in {directory} cannot be loaded: {error}') from error


def _load_backbone(directory: Path, config: dict[str, Any], device: str) -> Backbone:
    weights = str(directory / BACKBONE) if config['backbone_stored'] else ''
    backbone = load_backbone(config['backbone'], weights, device)
    if not weights and backbone.fingerprint != config['fingerprint']:
        raise ModelVersionError(
            f'the model in {directory} was trained on {config["fingerprint"]}, and {backbone.fingerprint} is '
            'installed; train again'
        )
    return backbone


def _load_heads(directory: Path, config: dict[str, Any]) -> dict[str, Head]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    try:
        arrays = unpack((directory / HEADS).read_bytes())
    except SafetensorError as error:
        raise ModelVersionError(f'{directory / HEADS} is damaged: {error}') from error
    return {
        item['control']: Head(
            control=item['control'],
            labels=tuple(item['labels']),
            multiple=item['multiple'],
            mean=arrays[f'{index}.mean'],
            scale=item['scale'],
            weight=arrays[f'{index}.weight'],
            bias=arrays[f'{index}.bias'],
        )
        for index, item in enumerate(config['heads'])
    }
