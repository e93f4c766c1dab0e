"""Returns predictions that do not fit."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_rubbish'
    backend = 'mlp_broken_rubbish.backend:BrokenBackend'
    description = 'Returns predictions that do not fit.'
