"""What the server needs to know about the plugin."""

from ml_plugins import MLBackendConfig


class DemoConfig(MLBackendConfig):
    """Point of entry; the backend itself is imported when a model is needed."""

    name = 'mlp_demo'
    verbose_name = 'Demo'
    backend = 'mlp_demo.backend:DemoBackend'
    description = 'Counts which label goes with which word or brightness.'
    requires_api = '>=1.0,<2'
    requires = ('numpy>=1.24',)
    url_conf = 'mlp_demo.urls'
    panel_template = 'mlp_demo/panel.html'
    was_ready = False

    def ready(self) -> None:
        """Runs once every app is loaded."""
        type(self).was_ready = True
