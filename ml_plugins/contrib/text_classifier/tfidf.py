"""Weights of words and of groups of letters: learned from the labeled texts, kept as lists and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

# Single words and pairs of them; and groups of letters in words, which find what is misspelled or inflected, and stand
# for words in languages that are written without spaces.
_KINDS: Mapping[str, Mapping[str, Any]] = {
    'words': {'ngram_range': (1, 2), 'max_features': 30_000},
    'letters': {'analyzer': 'char_wb', 'ngram_range': (2, 5), 'max_features': 60_000},
}


class Tfidf:
    """Two TF-IDF vectorizers of scikit-learn side by side.

    Args:
        vectorizers: Fitted, by the names of `_KINDS`.
    """

    def __init__(self, vectorizers: Mapping[str, TfidfVectorizer]) -> None:
        self._vectorizers = dict(vectorizers)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Tfidf:
        """Learn the terms of some texts; of a kind that none of them has there are none."""
        found = {}
        for kind in _KINDS:
            vectorizer = _vectorizer(kind)
            try:
                found[kind] = vectorizer.fit(texts)
            except ValueError:
                # The texts have no words, such as a pool of emoji, or only single letters.
                continue
        return cls(found)

    @classmethod
    def restore(cls, terms: Mapping[str, Sequence[str]], weights: Mapping[str, np.ndarray]) -> Tfidf:
        """What `terms` and `weights` said."""
        found = {}
        for kind, names in terms.items():
            vectorizer = _vectorizer(kind, vocabulary={name: place for place, name in enumerate(names)})
            vectorizer.idf_ = np.asarray(weights[kind], np.float64)
            found[kind] = vectorizer
        return cls(found)

    @property
    def terms(self) -> dict[str, list[str]]:
        """Terms by kind, in the order of their columns."""
        return {kind: [str(name) for name in item.get_feature_names_out()] for kind, item in self._vectorizers.items()}

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Inverse document frequencies by kind."""
        return {kind: item.idf_.astype(np.float32) for kind, item in self._vectorizers.items()}

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """One row a text; each kind has the same share in it."""
        from scipy.sparse import csr_matrix, hstack

        parts = [item.transform(texts) for item in self._vectorizers.values()]
        return hstack(parts, format='csr') if parts else csr_matrix((len(texts), 0))


def _vectorizer(kind: str, vocabulary: Mapping[str, int] | None = None) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    options = dict(_KINDS[kind])
    if vocabulary is not None:
        del options['max_features']
    return TfidfVectorizer(sublinear_tf=True, dtype=np.float32, vocabulary=vocabulary, **options)
