"""Has models that cannot be imported."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_models'
    backend = 'mlp_broken_models.backend:BrokenBackend'
    description = 'Has models that cannot be imported.'
