"""Has a backend that cannot be imported."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_backend'
    backend = 'mlp_broken_backend.backend:BrokenBackend'
    description = 'Has a backend that cannot be imported.'
