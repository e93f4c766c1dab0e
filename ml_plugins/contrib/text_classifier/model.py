"""A trained model: features of texts and a head for each control; and the files of a version that hold it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_plugins.contrib.text_classifier.head import Head
from ml_plugins.contrib.text_classifier.tfidf import Tfidf
from ml_plugins.contrib.text_classifier.vectors import hashed, projected
from ml_plugins.contrib.text_embeddings import Embedder, load_embedder
from ml_plugins.exceptions import MLPluginError, ModelVersionError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CONFIG, TERMS, ARRAYS = 'config.json', 'terms.json', 'arrays.safetensors'
_FORMAT = 1


@dataclass(frozen=True)
class Model:
    """TF-IDF, sentence embeddings where the version was trained with some, and heads by control name.

    Attributes:
        directions: Of the TF-IDF rows, for vectors of texts; None where texts were too few for that.
        embedder_name: What the embedder was loaded by; empty without one.
    """

    tfidf: Tfidf
    heads: dict[str, Head]
    embedder: Embedder | None = None
    embedder_name: str = ''
    directions: np.ndarray | None = None

    def vectors(self, texts: Sequence[str], rows: csr_matrix, embedded: np.ndarray | None) -> np.ndarray:
        """What stands for the texts in active learning."""
        if embedded is not None:
            return embedded
        if self.directions is not None:
            return projected(rows[:, : len(self.directions)], self.directions)
        return hashed(texts)


def features(rows: csr_matrix, embedded: np.ndarray | None) -> csr_matrix:
    """What heads learn from: TF-IDF rows, and the sentence embeddings beside them."""
    from scipy.sparse import csr_matrix, hstack

    return rows if embedded is None else hstack([rows, csr_matrix(embedded)], format='csr')


def save(directory: Path, model: Model) -> None:
    """Write a model. The embedder is named, not stored: it does not change, and is large."""
    from safetensors.numpy import save_file

    arrays = {f'idf.{kind}': weights for kind, weights in model.tfidf.weights.items()}
    for place, head in enumerate(model.heads.values()):
        arrays |= {f'head.{place}.weight': head.weight, f'head.{place}.bias': head.bias}
    if model.directions is not None:
        arrays['directions'] = model.directions.astype(np.float16)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, directory / ARRAYS)
    config = {
        'format': _FORMAT,
        'embeddings': model.embedder_name,
        'fingerprint': model.embedder.fingerprint if model.embedder else '',
        'heads': [
            {'control': head.control, 'labels': head.labels, 'multiple': head.multiple} for head in model.heads.values()
        ],
    }
    (directory / TERMS).write_text(json.dumps(model.tfidf.terms, ensure_ascii=False), encoding='utf-8')
    (directory / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding='utf-8')


def load(directory: Path) -> Model:
    """Load what `save` wrote.

    Raises:
        ModelVersionError: A file is missing or damaged, or the installed embeddings are not those it was trained with.
    """
    try:
        config = json.loads((directory / CONFIG).read_text(encoding='utf-8'))
        if config['format'] != _FORMAT:
            raise ModelVersionError(f'{directory / CONFIG} has format {config["format"]}; this release reads {_FORMAT}')
        return _restored(directory, config)
    except ModelVersionError:
        raise
    except (MLPluginError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelVersionError(f'the model in {directory} cannot be loaded: {error}') from error


def _restored(directory: Path, config: dict[str, Any]) -> Model:
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    try:
        arrays = unpack((directory / ARRAYS).read_bytes())
    except SafetensorError as error:
        raise ModelVersionError(f'{directory / ARRAYS} is damaged: {error}') from error
    terms = json.loads((directory / TERMS).read_text(encoding='utf-8'))
    heads = [
        Head(
            item['control'],
            tuple(item['labels']),
            item['multiple'],
            arrays[f'head.{place}.weight'],
            arrays[f'head.{place}.bias'],
        )
        for place, item in enumerate(config['heads'])
    ]
    directions = arrays.get('directions')
    return Model(
        Tfidf.restore(terms, {kind: arrays[f'idf.{kind}'] for kind in terms}),
        {head.control: head for head in heads},
        _embedder(directory, config),
        config['embeddings'],
        None if directions is None else directions.astype(np.float32),
    )


def _embedder(directory: Path, config: dict[str, Any]) -> Embedder | None:
    if not config['embeddings']:
        return None
    embedder = load_embedder(config['embeddings'])
    if embedder.fingerprint != config['fingerprint']:
        raise ModelVersionError(
            f'the model in {directory} was trained with {config["fingerprint"]}, and "{config["embeddings"]}" is '
            f'{embedder.fingerprint} now; train again'
        )
    return embedder
