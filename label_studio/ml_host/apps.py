"""AppConfig of the host."""

from django.apps import AppConfig


class MLHostConfig(AppConfig):
    """Puts the seams in place and listens to upstream's signals."""

    name = 'label_studio.ml_host'
    label = 'ml_host'
    verbose_name = 'ML backends'
    default_auto_field = 'django.db.models.BigAutoField'

    def ready(self) -> None:
        """Connect the fork to upstream once every app is loaded."""
        from label_studio.ml_host.upstream import install_seams

        install_seams()
