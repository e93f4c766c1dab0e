"""Does not return from predict."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_predict_hangs'
    backend = 'mlp_broken_predict_hangs.backend:BrokenBackend'
    description = 'Does not return from predict.'
