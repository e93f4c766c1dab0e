"""Has a migration that fails."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_migrate'
    backend = 'mlp_broken_migrate.backend:BrokenBackend'
    description = 'Has a migration that fails.'
