"""Cannot load its model."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_setup'
    backend = 'mlp_broken_setup.backend:BrokenBackend'
    description = 'Cannot load its model.'
