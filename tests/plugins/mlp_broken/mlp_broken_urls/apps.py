"""Has a URLconf that cannot be imported."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_urls'
    backend = 'mlp_broken_urls.backend:BrokenBackend'
    description = 'Has a URLconf that cannot be imported.'
    url_conf = 'mlp_broken_urls.urls'
