"""Raises when asked about a label config."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_check'
    backend = 'mlp_broken_check.backend:BrokenBackend'
    description = 'Raises when asked about a label config.'
