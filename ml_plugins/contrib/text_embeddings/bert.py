"""Sentence transformers of the BERT family, such as MiniLM, in torch alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml_plugins.contrib.image_classifier.workers import in_parts
from ml_plugins.contrib.text_embeddings.embedder import TOKENIZER, normalised

if TYPE_CHECKING:
    from torch import Tensor

# Tokens of a text that are read; MiniLM was trained on 128.
_LONGEST = 128
# Texts that are computed together, of similar length.
_BATCH = 8
# A head of MiniLM is 32 wide, those of larger models 64; only the config says, and a folder need not have one.
_NARROW = 384


class BertEmbedder:
    """Mean of the last layer's vectors, as sentence transformers are trained to be used."""

    def __init__(self, tensors: Mapping[str, np.ndarray], folder: Path, fingerprint: str) -> None:
        import torch
        from tokenizers import Tokenizer

        self.fingerprint = fingerprint
        self._weights = {
            name.removeprefix('bert.'): torch.from_numpy(np.array(value, np.float32))
            for name, value in tensors.items()
            if value.dtype.kind == 'f'
        }
        self._layers = 1 + max(int(name.split('.')[2]) for name in self._weights if name.startswith('encoder.layer.'))
        self.size = self._weights['embeddings.word_embeddings.weight'].shape[1]
        config = folder / 'config.json'
        known = json.loads(config.read_text(encoding='utf-8')) if config.is_file() else {}
        self._heads = known.get('num_attention_heads') or self.size // (32 if self.size <= _NARROW else 64)
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(_LONGEST)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `Embedder.encode`."""
        import torch

        # A text far longer than what is read would only be split in vain.
        tokens = [item.ids for item in self._tokenizer.encode_batch_fast([text[: 16 * _LONGEST] for text in texts])]
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        rows = np.zeros((len(texts), self.size), np.float32)
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]

        def compute(part: Sequence[Sequence[int]]) -> None:
            with torch.inference_mode():
                for places in part:
                    rows[places] = self._batch([tokens[place] for place in places]).numpy()

        in_parts(compute, batches)
        return normalised(rows)

    def _batch(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        import torch

        longest = max(map(len, tokens))
        ids = torch.zeros(len(tokens), longest, dtype=torch.long)
        for row, item in zip(ids, tokens, strict=True):
            row[: len(item)] = torch.tensor(item)
        mask = torch.arange(longest) < torch.tensor([len(item) for item in tokens])[:, None]
        hidden = self._embed(ids)
        for layer in range(self._layers):
            hidden = self._layer(f'encoder.layer.{layer}', hidden, mask)
        kept = mask[:, :, None].float()
        return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)

    def _embed(self, ids: Tensor) -> Tensor:
        weights = self._weights
        words = weights['embeddings.word_embeddings.weight'][ids]
        places = weights['embeddings.position_embeddings.weight'][: ids.shape[1]]
        kind = weights['embeddings.token_type_embeddings.weight'][0]
        return self._norm('embeddings.LayerNorm', words + places + kind)

    def _layer(self, name: str, hidden: Tensor, mask: Tensor) -> Tensor:
        from torch.nn.functional import gelu, scaled_dot_product_attention

        count, length, _ = hidden.shape

        def split(part: str) -> Tensor:
            values = self._linear(f'{name}.attention.self.{part}', hidden)
            return values.view(count, length, self._heads, -1).transpose(1, 2)

        attended = scaled_dot_product_attention(
            split('query'), split('key'), split('value'), attn_mask=mask[:, None, None, :]
        )
        attended = attended.transpose(1, 2).reshape(count, length, self.size)
        hidden = self._norm(
            f'{name}.attention.output.LayerNorm', hidden + self._linear(f'{name}.attention.output.dense', attended)
        )
        inner = gelu(self._linear(f'{name}.intermediate.dense', hidden))
        return self._norm(f'{name}.output.LayerNorm', hidden + self._linear(f'{name}.output.dense', inner))

    def _linear(self, name: str, values: Tensor) -> Tensor:
        from torch.nn.functional import linear

        return linear(values, self._weights[f'{name}.weight'], self._weights[f'{name}.bias'])

    def _norm(self, name: str, values: Tensor) -> Tensor:
        from torch.nn.functional import layer_norm

        weight, bias = self._weights[f'{name}.weight'], self._weights[f'{name}.bias']
        return layer_norm(values, (self.size,), weight, bias, 1e-12)
