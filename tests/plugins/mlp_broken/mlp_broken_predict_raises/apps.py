"""Raises in predict."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_predict_raises'
    backend = 'mlp_broken_predict_raises.backend:BrokenBackend'
    description = 'Raises in predict.'
