"""Static embeddings: the mean of its tokens' vectors stands for a text; thousands of texts a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ml_plugins.contrib.text_embeddings.embedder import TOKENIZER, normalised


class StaticEmbedder:
    """Reads what Model2Vec writes: ``embeddings``, and where there are some ``weights`` and ``mapping`` of tokens."""

    def __init__(self, tensors: Mapping[str, np.ndarray], folder: Path, fingerprint: str) -> None:
        from tokenizers import Tokenizer

        self.fingerprint = fingerprint
        self._vectors = np.asarray(tensors['embeddings'])
        self._mapping = tensors.get('mapping')
        self._weights = tensors.get('weights')
        self.size = self._vectors.shape[1]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._unknown = self._tokenizer.token_to_id('[UNK]')
        if self._unknown is None:
            self._unknown = self._tokenizer.token_to_id('<unk>')

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `Embedder.encode`."""
        rows = np.zeros((len(texts), self.size), np.float32)
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        for row, item in zip(rows, encoded, strict=True):
            ids = np.array([token for token in item.ids if token != self._unknown], np.int64)
            if len(ids):
                row[:] = self._mean(ids)
        return normalised(rows)

    def _mean(self, ids: np.ndarray) -> np.ndarray:
        vectors = self._vectors[self._mapping[ids] if self._mapping is not None else ids].astype(np.float32)
        if self._weights is not None:
            vectors = vectors * self._weights[ids, None]
        return vectors.mean(axis=0)
