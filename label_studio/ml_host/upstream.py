"""The only door to upstream: the names we use of it, and the places where we change what it does.

`NAMES` says which upstream objects the fork uses; they are imported on first use, so this module may be imported
before Django's apps are loaded. `SEAMS` lists every replaced piece of behaviour. A replacement wraps the original and
calls it for everything that is not a plugin; what it relies on is checked when the server starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

# Name here -> module of upstream, and the name there where it differs.
NAMES: dict[str, str] = {
    'Annotation': 'tasks.models',
    'AnnotationDraft': 'tasks.models',
    'FileUpload': 'data_import.models',
    'LabelStudioAPIException': 'core.utils.exceptions',
    'LocalFilesImportStorage': 'io_storages.localfiles.models',
    'MLApiResult': 'ml.api_connector',
    'MLBackendState': 'ml.models',
    'Organization': 'organizations.models',
    'Prediction': 'tasks.models',
    'Project': 'projects.models',
    'RedisImportStorage': 'io_storages.redis.models',
    'SsrfBlockedUrlError': 'core.utils.exceptions',
    'Task': 'tasks.models',
    'UpstreamMLBackend': 'ml.models:MLBackend',
    'User': 'users.models',
    'ViewClassPermission': 'core.permissions',
    'Webhook': 'webhooks.models',
    'all_permissions': 'core.permissions',
    'create_project': 'label_studio.server:_create_project',
    'create_user': 'label_studio.server:_create_user',
    'enforce_csrf_checks': 'core.middleware',
    'find_dir': 'core.utils.io',
    'free_port': 'label_studio.server:_get_free_port',
    'get_storage_classes': 'io_storages.models',
    'project_exists': 'label_studio.server:_project_exists',
    'read_server_config': 'label_studio.server:_get_config',
    'read_yaml': 'core.utils.io',
    'replace_task_data_undefined_with_config_field': 'core.label_config',
    'server_main': 'label_studio.server:main',
    'ssrf_safe_get': 'core.utils.io',
    'start_browser': 'core.utils.common',
    'validate_upload_url': 'core.utils.io',
}


def __getattr__(name: str) -> Any:
    home = NAMES.get(name)
    if home is None:
        raise AttributeError(f'{name} is not among the upstream names that the fork uses; add it to NAMES')
    module, _, attribute = home.partition(':')
    return getattr(import_module(module), attribute or name)


@dataclass(frozen=True)
class Seam:
    """One replaced piece of upstream behaviour.

    Attributes:
        target: ``"module:attribute"`` or ``"module:Class.attribute"`` in upstream.
        replacement: ``"module:function"`` of ours; called with the original first, then the call's own arguments.
        parameters: Names of the original's parameters that the replacement relies on, in order.
        why: The reason, in a sentence.
    """

    target: str
    replacement: str
    parameters: tuple[str, ...]
    why: str


SEAMS: tuple[Seam, ...] = (
    Seam(
        'ml.api_connector:MLApi._request',
        'label_studio.ml_host.serving.transport:request',
        ('self', 'url_suffix', 'request', 'verbose', 'method'),
        'Plugins answer in process instead of over HTTP.',
    ),
    Seam(
        'ml.models:MLBackend.get_versions',
        'label_studio.ml_host.serving.transport:versions',
        ('self',),
        'The versions request carries no project, so it cannot be answered in the transport.',
    ),
    Seam(
        'ml.models:MLBackend.predict_tasks',
        'label_studio.ml_host.prelabeling.seams:predict_tasks',
        ('self', 'tasks'),
        'Health, setup and some forty SQL statements a prediction are not needed in process.',
    ),
    Seam(
        'ml.serializers:MLBackendSerializer.validate_url',
        'label_studio.ml_host.serving.transport:validate_url',
        ('self', 'value'),
        'A plugin has an address that no network knows.',
    ),
    Seam(
        'projects.api:ProjectAPI.get',
        'label_studio.ml_host.serving.warmup:project_opened',
        ('self', 'request'),
        'The model is loaded when a project is entered, so that the first task already opens with a prediction.',
    ),
    Seam(
        'tasks.api:TaskAPI.get',
        'label_studio.ml_host.prelabeling.seams:open_task',
        ('self', 'request', 'pk'),
        'Upstream predicts only tasks without any prediction and keeps showing those of old versions.',
    ),
    Seam(
        'tasks.models:Task.get_predictions_for_prelabeling',
        'label_studio.ml_host.prelabeling.seams:predictions_for_stream',
        ('self',),
        'The label stream predicts within a time budget and with few statements.',
    ),
)


def _resolve(target: str) -> tuple[Any, str]:
    module_name, _, path = target.partition(':')
    owner: Any = import_module(module_name)
    *parents, name = path.split('.')
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def check_seam(seam: Seam) -> None:
    """Fail when upstream no longer is what the replacement relies on.

    Raises:
        ImproperlyConfigured: Names the seam and the difference.
    """
    try:
        owner, name = _resolve(seam.target)
        original = inspect.unwrap(getattr(owner, name))
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(f'Upstream changed: {seam.target} is gone ({error}). {seam.why}') from error
    found = tuple(inspect.signature(original).parameters)
    if found[: len(seam.parameters)] != seam.parameters:
        raise ImproperlyConfigured(
            f'Upstream changed: {seam.target} takes {found}, the fork relies on {seam.parameters}. {seam.why}'
        )


def _wrap(original: Callable[..., Any], replacement: str) -> Callable[..., Any]:
    @wraps(original)
    def seam(*args: Any, **kwargs: Any) -> Any:
        module_name, _, name = replacement.partition(':')
        return getattr(import_module(module_name), name)(original, *args, **kwargs)

    seam.is_seam = True
    return seam


def install_seams() -> None:
    """Check and put every seam in place, once; called when our app is ready."""
    for seam in SEAMS:
        owner, name = _resolve(seam.target)
        current = inspect.getattr_static(owner, name)
        function = current.__func__ if isinstance(current, staticmethod) else current
        if getattr(function, 'is_seam', False):
            continue
        check_seam(seam)
        wrapped = _wrap(function, seam.replacement)
        setattr(owner, name, staticmethod(wrapped) if isinstance(current, staticmethod) else wrapped)
