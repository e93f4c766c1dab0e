"""Raises in fit."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_fit'
    backend = 'mlp_broken_fit.backend:BrokenBackend'
    description = 'Raises in fit.'
