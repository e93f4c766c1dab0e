"""Has a panel that cannot be rendered."""

from ml_plugins import MLBackendConfig


class BrokenConfig(MLBackendConfig):
    name = 'mlp_broken_render'
    backend = 'mlp_broken_render.backend:BrokenBackend'
    description = 'Has a panel that cannot be rendered.'
    panel_template = 'mlp_broken_render/panel.html'
