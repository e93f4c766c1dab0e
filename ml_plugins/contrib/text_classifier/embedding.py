"""Sentence embeddings of tasks' texts, kept between runs where there is a folder for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ml_plugins.contrib.image_classifier.feature_store import FeatureStore
from ml_plugins.contrib.text_embeddings import Embedder
from ml_plugins.types import Task

# Texts between two reports of progress.
_CHUNK = 64


class KeptEmbeddings:
    """An embedder that remembers texts by task, field and value.

    Args:
        folder: The cache directory of the project; None to remember nothing.
    """

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self._store = FeatureStore(folder, embedder.fingerprint) if folder else None

    def of(
        self,
        places: Sequence[tuple[Task, str]],
        texts: Sequence[str],
        keep: bool = False,
        report: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """Vectors of the texts.

        Args:
            places: Of each text its task and field.
            texts: The texts themselves.
            keep: Store what is new.
            report: Called with how many are done; what it raises ends the work, with what is done stored.
        """
        if self._store:
            self._store.renew()
        rows = np.zeros((len(texts), self._embedder.size), np.float32)
        try:
            for start in range(0, len(texts), _CHUNK):
                stop = min(start + _CHUNK, len(texts))
                rows[start:stop] = self._part(places[start:stop], texts[start:stop], keep)
                report(stop)
        finally:
            if keep and self._store:
                self._store.flush()
        return rows

    def _part(self, places: Sequence[tuple[Task, str]], texts: Sequence[str], keep: bool) -> np.ndarray:
        known = [self._store.get(*place) if self._store else None for place in places]
        missing = [index for index, row in enumerate(known) if row is None]
        if missing:
            fresh = self._embedder.encode([texts[index] for index in missing])
            for index, row in zip(missing, fresh, strict=True):
                known[index] = row
                if keep and self._store and places[index][0].id is not None:
                    self._store.put(*places[index], row)
        return np.stack(known)
