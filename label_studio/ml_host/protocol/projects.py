"""Projects of other Label Studios, and the projects of this server that stand for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils import timezone

from label_studio.ml_host.enabling import gate, services
from label_studio.ml_host.models import ProjectBackend, RemoteProject
from label_studio.ml_host.protocol.errors import MessageError, SwitchedOffError
from label_studio.ml_host.protocol.messages import ProjectKey, SetupMessage
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.label_config import parse_label_config
from ml_plugins.registry import registry

# How precisely it is kept when somebody called last, in seconds.
SEEN_SECONDS = 60


def find(user: Any, backend: str, key: ProjectKey) -> RemoteProject | None:
    """The project of that number which the caller's organization knows; the newest where its time was not sent."""
    known = RemoteProject.objects.select_related('project').filter(
        organization=user.active_organization, backend=backend, number=key.number
    )
    return (known.filter(stamp=key.stamp) if key.stamp else known).first()


def connected(user: Any, backend: str, key: ProjectKey, label_config: str) -> RemoteProject:
    """The project with the label config that it has now, made on its first call.

    Raises:
        MessageError: It is new, and sent no label config.
        LabelConfigError: The backend cannot serve its label config.
    """
    remote = find(user, backend, key)
    if not label_config:
        if remote is None:
            raise MessageError(f'Project {key.number} is not known yet: send its label config, by /setup or /predict.')
        return _seen(remote)
    if remote is None or remote.project.label_config != label_config:
        check_servable(backend, label_config)
    if remote is None:
        remote = _made(user, backend, key, label_config)
    if remote.project.label_config != label_config:
        remote.project.label_config = label_config
        remote.project.save(update_fields=['label_config'])
    return _seen(remote)


def check_servable(backend: str, label_config: str) -> None:
    """Refuse a label config that the backend cannot serve. Raises `LabelConfigError`."""
    try:
        registry.get(backend).backend_class().check(parse_label_config(label_config))
    except LabelConfigError as error:
        raise LabelConfigError(f'{backend} cannot serve this label config: {error}') from error


def set_up(user: Any, backend: str, message: SetupMessage) -> RemoteProject:
    """Take over what ``/setup`` says: label config, where the other server is, and parameters of the plugin.

    Raises:
        MLPluginError: The label config cannot be served, or a parameter is not one of the plugin's.
    """
    remote = connected(user, backend, message.project, message.label_config)
    changed = [
        name
        for name in ('hostname', 'access_token')
        if getattr(message, name) and getattr(message, name) != getattr(remote, name)
    ]
    for name in changed:
        setattr(remote, name, getattr(message, name))
    if changed:
        remote.save(update_fields=changed)
    if 'hostname' in changed:
        _name(remote)
    if message.params and dict(row_of(remote).params) != dict(message.params):
        services.set_params(remote.project, backend, dict(message.params), user)
    return remote


def row_of(remote: RemoteProject) -> ProjectBackend:
    """The enabled backend. Raises `SwitchedOffError`."""
    row = gate.active(remote.project_id, remote.backend)
    if row is None:
        raise SwitchedOffError(
            f'{remote.backend} was switched off for {remote} at this server; switch it on again on the ML backends '
            f'page of project {remote.project_id} there.'
        )
    row.project = remote.project
    return row


def without_shadows(original: Callable[..., Any], view: Any) -> Any:
    """Seam of ``ProjectListAPI.get_queryset``: shadows are not among the projects that people label in."""
    shadows = view.request.query_params.get('remote')
    return original(view).filter(remote_project__isnull=not shadows)


def _made(user: Any, backend: str, key: ProjectKey, label_config: str) -> RemoteProject:
    from label_studio.ml_host.upstream import Project

    shadow = Project(
        title=f'Project {key.number} of another Label Studio',
        description=f'Stands for a project of another Label Studio, which uses "{backend}" by HTTP.',
        created_by=user,
        organization=user.active_organization,
        label_config=label_config,
    )
    # Only the backend that was asked for is enabled on it, not the server's default one.
    shadow.is_shadow = True
    try:
        with transaction.atomic():
            shadow.save()
            remote = RemoteProject.objects.create(
                organization=user.active_organization,
                backend=backend,
                number=key.number,
                stamp=key.stamp,
                project=shadow,
                created_by=user,
            )
            services.enable(shadow, backend, user)
    except IntegrityError:
        # Its first two calls came at the same time.
        remote = find(user, backend, key)
        if remote is None:
            raise
    return remote


def _name(remote: RemoteProject) -> None:
    """Let the shadow say whose it is, as far as a title is long."""
    from django.conf import settings

    place = urlsplit(remote.hostname).netloc.rpartition('@')[2] or 'another Label Studio'
    remote.project.title = f'Project {remote.number} of {place}'[: settings.PROJECT_TITLE_MAX_LEN]
    remote.project.save(update_fields=['title'])


def _seen(remote: RemoteProject) -> RemoteProject:
    now = timezone.now()
    if remote.seen_at is None or (now - remote.seen_at).total_seconds() > SEEN_SECONDS:
        RemoteProject.objects.filter(pk=remote.pk).update(seen_at=now)
        remote.seen_at = now
    return remote
