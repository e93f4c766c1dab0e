"""What stands for a text in active learning: where two texts are about the same, their vectors are close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml_plugins.contrib.text_embeddings.embedder import normalised

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

HASHED_SIZE = 256
_LSA_SIZE = 64
# Of fewer texts the main directions are those texts themselves.
_ENOUGH_FOR_LSA = 100


def hashed(texts: Sequence[str]) -> np.ndarray:
    """Words thrown into a fixed number of places: vectors before anything was learned, for the first labels.

    Words that every text has would make all texts alike, and what they are is not known yet: the common English ones
    are left out, and in all languages the shortest.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=HASHED_SIZE, stop_words='english', token_pattern=r'(?u)\b\w{3,}\b', dtype=np.float32
    )
    counts = vectorizer.transform(texts).toarray()
    return normalised(np.sign(counts) * np.sqrt(np.abs(counts)))


def main_directions(rows: csr_matrix) -> np.ndarray | None:
    """The directions in which TF-IDF rows of the labeled texts differ most, of shape (terms, size); None for few texts.

    Half precision halves the version's size, and is more than the vectors need.
    """
    from sklearn.decomposition import TruncatedSVD

    size = min(_LSA_SIZE, rows.shape[1] - 1)
    if rows.shape[0] < _ENOUGH_FOR_LSA or size < 2:
        return None
    return TruncatedSVD(size, n_iter=4, random_state=0).fit(rows).components_.T.astype(np.float16)


def projected(rows: csr_matrix, directions: np.ndarray) -> np.ndarray:
    """Vectors of TF-IDF rows along `main_directions`."""
    return normalised(np.asarray(rows @ directions.astype(np.float32)))
