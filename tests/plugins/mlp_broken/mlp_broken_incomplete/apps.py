"""Not broken: a package that it needs is not installed."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_incomplete'
    verbose_name = 'Incomplete'
    description = 'Would do something with a package that nobody has.'
    backend = 'mlp_broken_incomplete.backend:IncompleteBackend'
    requires = ('a-package-that-nobody-has>=2', 'numpy')
    extra = 'more'

    def ready(self) -> None:
        import a_package_that_nobody_has  # noqa: F401
