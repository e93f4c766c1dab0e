"""Keep plugins and upstream's rows in step, and give new projects the server's default backend."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db.models.signals import post_delete, post_save

from label_studio.ml_host.enabling import misfit, services
from label_studio.ml_host.http_backends.rows import name_of
from label_studio.ml_host.learning import watcher
from label_studio.ml_host.models import ModelVersion, ProjectBackend, RemoteProject
from label_studio.ml_host.prelabeling import runs
from label_studio.ml_host.task_data import remote
from label_studio.ml_host.versions import removal
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)


def connect() -> None:
    """Listen to upstream's models; called once, when our app is ready."""
    from label_studio.ml_host.serving.service import targets
    from label_studio.ml_host.upstream import Annotation, Project, UpstreamMLBackend, Webhook

    post_save.connect(on_label_config_saved, sender=Project, dispatch_uid='ml_host.misfit')
    post_save.connect(on_project_saved, sender=Project, dispatch_uid='ml_host.default_backend')
    post_save.connect(on_connection_saved, sender=UpstreamMLBackend, dispatch_uid='ml_host.connected')
    post_delete.connect(on_connection_deleted, sender=UpstreamMLBackend, dispatch_uid='ml_host.disconnected')
    post_save.connect(on_webhook_saved, sender=Webhook, dispatch_uid='ml_host.webhook')
    post_delete.connect(removal.on_version_deleted, sender=ModelVersion, dispatch_uid='ml_host.version_files')
    for signal in (post_save, post_delete):
        signal.connect(on_annotation_changed, sender=Annotation, dispatch_uid='ml_host.labels')
        signal.connect(remote.forget, sender=RemoteProject, dispatch_uid='ml_host.remote')
        for sender in (Project, ProjectBackend, ModelVersion):
            signal.connect(targets.forget, sender=sender, dispatch_uid='ml_host.targets')


def on_annotation_changed(sender, instance, raw: bool = False, **kwargs) -> None:
    """Labels came, changed or went: they are counted later, by another thread."""
    if not raw:
        watcher.note(instance.project_id)


def on_label_config_saved(sender, instance, created: bool, raw: bool = False, update_fields=None, **kwargs) -> None:
    """A backend that does not fit any more is switched off."""
    if not (raw or created) and (update_fields is None or 'label_config' in update_fields):
        misfit.switch_off(instance)


def on_project_saved(sender, instance, created: bool, raw: bool = False, **kwargs) -> None:
    """Enable the default backend on a new project as soon as its label config can be served."""
    name = settings.ML_DEFAULT_BACKEND
    if raw or getattr(instance, 'is_shadow', False) or not name or name not in registry:
        return
    if created:
        row, _ = ProjectBackend.objects.get_or_create(
            project=instance, backend=name, defaults={'awaits_label_config': True}
        )
        waits = row.awaits_label_config
    else:
        waits = ProjectBackend.objects.filter(project=instance, backend=name, awaits_label_config=True).exists()
    if waits and not services.why_not(instance, registry.get(name)):
        services.enable(instance, name)


def on_connection_saved(sender, instance, created: bool, raw: bool = False, **kwargs) -> None:
    """A plugin connected through upstream's own API is enabled by that."""
    name = services.plugin_name(instance.url)
    if not name:
        watcher.forget(instance.project_id)
    if raw or not created or not name:
        return
    row, _ = ProjectBackend.objects.get_or_create(project=instance.project, backend=name)
    if row.connection_id is None:
        row.connection = instance
        row.save(update_fields=['connection', 'updated_at'])
    if not row.enabled:
        services.enable(instance.project, name)


def on_connection_deleted(sender, instance, origin=None, **kwargs) -> None:
    """A plugin disconnected on upstream's Model page is disabled by that."""
    name = services.plugin_name(instance.url)
    # The row also goes when its project is deleted; nothing may be written about that one any more.
    if not name and getattr(origin, 'model', type(origin)) is sender:
        reason = f'ML backend "{instance.title}" was disconnected.'
        runs.cancel_all(instance.project_id, reason, backend=name_of(instance))
    if name and getattr(origin, 'model', type(origin)) is sender:
        row = ProjectBackend.objects.filter(project_id=instance.project_id, backend=name, enabled=True).first()
        if row is not None:
            services.disable(row.project, name)


def on_webhook_saved(sender, instance, created: bool, **kwargs) -> None:
    """Upstream makes a webhook for each connected model; a plugin has no address to call."""
    if created and services.plugin_name(instance.url):
        instance.delete()
