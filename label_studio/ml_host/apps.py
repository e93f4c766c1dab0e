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
        from django.conf import settings
        from django.db.models.signals import post_migrate

        import ml_plugins.runtime.fence
        import ml_plugins.sdk.host
        import ml_plugins.task_data
        from label_studio.ml_host import failures
        from label_studio.ml_host.data_manager import actions, columns
        from label_studio.ml_host.enabling import signals
        from label_studio.ml_host.quiet import say_what_was_held_back
        from label_studio.ml_host.sampling import indexes
        from label_studio.ml_host.sdk.host import ServerHost
        from label_studio.ml_host.upstream import install_seams

        say_what_was_held_back()
        install_seams()
        actions.register()
        columns.register()
        ml_plugins.task_data.max_image_pixels = settings.ML_MAX_IMAGE_PIXELS
        ml_plugins.runtime.fence.bootstrap = 'label_studio.ml_host.bootstrap:setup'
        ml_plugins.sdk.host.current = ServerHost()
        signals.connect()
        post_migrate.connect(indexes.after_migration, sender=self)
        failures.keep_failures()
