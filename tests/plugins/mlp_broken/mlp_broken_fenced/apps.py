"""Crashes, hangs or eats memory in a process of its own."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_fenced'
    backend = 'mlp_broken_fenced.backend:BrokenBackend'
    description = 'Crashes, hangs or eats memory in a process of its own.'
