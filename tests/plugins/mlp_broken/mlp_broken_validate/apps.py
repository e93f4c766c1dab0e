"""Wants another version of the plugin API."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_validate'
    backend = 'mlp_broken_validate.backend:BrokenBackend'
    description = 'Wants another version of the plugin API.'
    requires_api = '>=99'
