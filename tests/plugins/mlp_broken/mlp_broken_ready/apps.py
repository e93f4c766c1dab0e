"""Raises when the server is ready."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_ready'
    backend = 'mlp_broken_ready.backend:BrokenBackend'
    description = 'Raises when the server is ready.'

    def ready(self):
        raise RuntimeError('broken in ready')
