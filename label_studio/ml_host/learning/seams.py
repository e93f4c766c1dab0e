"""What upstream does differently for plugins when labels come in, and when somebody uses its training switch."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from label_studio.ml_host.enabling.services import plugin_name
from label_studio.ml_host.http_backends import delivery
from label_studio.ml_host.learning import services, watcher

# Set while upstream trains the backends of a project because an annotation was saved.
_submitting: ContextVar[bool] = ContextVar('submitting', default=False)


def annotation_saved(original: Callable[..., Any], sender, instance, **kwargs: Any) -> None:
    """Seam of ``update_ml_backend``, upstream's receiver that trains within the annotator's request.

    HTTP backends are asked as ever, by another thread; a plugin's labels are counted later, by the watcher. Where a
    project has plugins only, nothing of it runs: it would count all annotations of the project.
    """
    if watcher.has_only_plugins(instance.project_id):
        return
    token = _submitting.set(True)
    try:
        original(sender, instance, **kwargs)
    finally:
        _submitting.reset(token)


def train(original: Callable[..., Any], connection) -> Any:
    """Seam of ``MLBackend.train``: a plugin is trained by the button, and by the watcher, but never by a submission.

    An HTTP backend is asked by another thread: it may take as long as it likes.
    """
    if not plugin_name(connection.url):
        return delivery.train(connection, original)
    return None if _submitting.get() else original(connection)


def project_changed(original: Callable[..., Any], serializer, instance, validated_data):
    """Seam of ``ProjectSerializer.update``: upstream's switch means *Learn while labeling* for plugins."""
    before = instance.min_annotations_to_start_training
    project = original(serializer, instance, validated_data)
    after = project.min_annotations_to_start_training
    if after != before and (after > 1 or bool(after) != bool(before)):
        request = serializer.context.get('request')
        services.follow_switch(project, after, getattr(request, 'user', None))
    return project
