"""Vectors of whole texts for the bundled text backends: MiniLM, static embeddings, or a folder with such a model."""

from ml_plugins.contrib.text_embeddings.embedder import (
    PACKAGED,
    Embedder,
    EmbedderMissingError,
    is_installed,
    load_embedder,
)

__all__ = ['PACKAGED', 'Embedder', 'EmbedderMissingError', 'is_installed', 'load_embedder']
