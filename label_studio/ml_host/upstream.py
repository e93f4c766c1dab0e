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
    'LSAPIToken': 'jwt_auth.models',
    'LocalFilesImportStorage': 'io_storages.localfiles.models',
    'MLApiResult': 'ml.api_connector',
    'MLBackendState': 'ml.models',
    'Organization': 'organizations.models',
    'Prediction': 'tasks.models',
    'PredictionSerializer': 'tasks.serializers',
    'Project': 'projects.models',
    'RedisImportStorage': 'io_storages.redis.models',
    'SkipMissedManifestStaticFilesStorage': 'core.storage',
    'SsrfBlockedUrlError': 'core.utils.exceptions',
    'Task': 'tasks.models',
    'TaskLock': 'tasks.models',
    'TaskSimpleSerializer': 'tasks.serializers',
    'TokenAuthenticationPhaseout': 'jwt_auth.auth',
    'UpstreamMLBackend': 'ml.models:MLBackend',
    'User': 'users.models',
    'ViewClassPermission': 'core.permissions',
    'Webhook': 'webhooks.models',
    'add_stream_history': 'projects.functions.stream_history',
    'all_permissions': 'core.permissions',
    'collect_versions': 'core.utils.common',
    'create_project': 'label_studio.server:_create_project',
    'create_user': 'label_studio.server:_create_user',
    'enforce_csrf_checks': 'core.middleware',
    'find_dir': 'core.utils.io',
    'free_port': 'label_studio.server:_get_free_port',
    'get_all_columns': 'data_manager.functions',
    'get_prepare_params': 'data_manager.functions',
    'get_current_request': 'core.current_request',
    'get_storage_classes': 'io_storages.models',
    'postponed_queue': 'projects.functions.next_task',
    'project_exists': 'label_studio.server:_project_exists',
    'read_server_config': 'label_studio.server:_get_config',
    'read_yaml': 'core.utils.io',
    'register_action': 'data_manager.actions',
    'replace_task_data_undefined_with_config_field': 'core.label_config',
    'request_locals': 'core.current_request:_thread_locals',
    'run_webhook_sync': 'webhooks.utils',
    'server_main': 'label_studio.server:main',
    'skipped_queue': 'projects.functions.next_task',
    'ssrf_safe_get': 'core.utils.io',
    'ssrf_safe_request': 'core.utils.io',
    'start_browser': 'core.utils.common',
    'update_annotation_map': 'data_manager.managers',
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
        target: ``"module:attribute"`` or ``"module:Class.attribute"`` in upstream; a part of the path may also be the
            key of a dictionary in which upstream registers functions.
        replacement: ``"module:function"`` of ours; called with the original first, then the call's own arguments.
        parameters: Names of the original's parameters that the replacement relies on, in order.
        why: The reason, in a sentence.
        receives: For a receiver of a signal, where the signal and its sender are, as ``"module:name"``.
    """

    target: str
    replacement: str
    parameters: tuple[str, ...]
    why: str
    receives: tuple[str, str] | None = None


SEAMS: tuple[Seam, ...] = (
    Seam(
        'data_manager.actions.next_task:get_next_task',
        'label_studio.ml_host.sampling.stream:get_next_task',
        ('user', 'prepared_tasks', 'project', 'dm_queue', 'assigned_flag'),
        "The order that active learning chose, by index seeks; upstream's uncertainty sampling sorts all tasks.",
    ),
    Seam(
        'data_manager.actions:settings.DATA_MANAGER_ACTIONS.predictions_to_annotations.dialog.form',
        'label_studio.ml_host.data_manager.versions:form',
        ('user', 'project'),
        "Upstream offers the selected model's title first, and no prediction of a plugin has it for a version.",
    ),
    Seam(
        'data_manager.actions:settings.DATA_MANAGER_ACTIONS.retrieve_tasks_predictions.entry_point',
        'label_studio.ml_host.data_manager.actions:retrieve',
        ('project', 'queryset'),
        'Upstream predicts all selected tasks within the request; a plugin does it in the background.',
    ),
    Seam(
        'data_manager.managers:settings.DATA_MANAGER_ANNOTATIONS_MAP.predictions_score',
        'label_studio.ml_host.data_manager.scores:annotate',
        ('queryset',),
        "Upstream looks for scores of the selected model's title, and no prediction of a plugin has it for a version.",
    ),
    Seam(
        'data_manager.serializers:DataManagerTaskSerializer.to_representation',
        'label_studio.ml_host.data_manager.columns:represent',
        ('self', 'obj'),
        'Its fields are fixed, and the columns of active learning are none of them.',
    ),
    Seam(
        'ml.api_connector:BaseHTTPAPI.create_session',
        'label_studio.ml_host.http_backends.allowed:create_session',
        ('self',),
        'Upstream allows all private addresses or none; here those that somebody named.',
    ),
    Seam(
        'ml.api_connector:MLApi._request',
        'label_studio.ml_host.serving.transport:request',
        ('self', 'url_suffix', 'request', 'verbose', 'method'),
        'Plugins answer in process instead of over HTTP.',
    ),
    Seam(
        'ml.models:MLBackend.delete',
        'label_studio.ml_host.enabling.predictions:keep',
        ('self', 'using', 'keep_parents'),
        'Predictions of plugins name their backend, and deleting that would delete them; upstream keeps its own.',
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
        'ml.models:MLBackend.train',
        'label_studio.ml_host.learning.seams:train',
        ('self',),
        'Upstream trains every backend of a project within the request of an annotator; plugins learn in background.',
    ),
    Seam(
        'ml.serializers:MLBackendSerializer.validate_url',
        'label_studio.ml_host.serving.transport:validate_url',
        ('self', 'value'),
        'A plugin has an address that no network knows.',
    ),
    Seam(
        'projects.api:ProjectAPI.perform_destroy',
        'label_studio.ml_host.prelabeling.seams:project_deleted',
        ('self', 'instance'),
        'A prediction that is written while its task is being deleted would make the deletion fail.',
    ),
    Seam(
        'projects.api:get_next_task',
        'label_studio.ml_host.sampling.stream:get_next_task',
        ('user', 'prepared_tasks', 'project', 'dm_queue', 'assigned_flag'),
        'The same for the label stream of the API, which imports the function by name.',
    ),
    Seam(
        'projects.api:ProjectAPI.get',
        'label_studio.ml_host.serving.warmup:project_opened',
        ('self', 'request'),
        'The model is loaded when a project is entered, so that the first task already opens with a prediction.',
    ),
    Seam(
        'projects.api:ProjectListAPI.get_queryset',
        'label_studio.ml_host.protocol.projects:without_shadows',
        ('self',),
        'Projects that stand for those of other Label Studios are not for people to label in.',
    ),
    Seam(
        'projects.serializers:ProjectSerializer.update',
        'label_studio.ml_host.learning.seams:project_changed',
        ('self', 'instance', 'validated_data'),
        "Upstream's training switch and learning while labeling are one thing.",
    ),
    Seam(
        'tasks.api:AnnotationsListAPI.perform_create',
        'label_studio.ml_host.prelabeling.seams:annotation_created',
        ('self', 'ser'),
        "Upstream looks for predictions whose version is the selected model's title, and a plugin has none such.",
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
    Seam(
        'tasks.models:update_ml_backend',
        'label_studio.ml_host.learning.seams:annotation_saved',
        ('sender', 'instance'),
        'Upstream counts all annotations of the project with each that is saved, also where only plugins would learn.',
        receives=('django.db.models.signals:post_save', 'tasks.models:Annotation'),
    ),
    Seam(
        'tasks.serializers:TaskSimpleSerializer.update',
        'label_studio.ml_host.prelabeling.edited:task_changed',
        ('self', 'instance', 'validated_data'),
        'Upstream keeps showing what a model said of the data that a task had before.',
    ),
    Seam(
        'webhooks.serializers:WebhookSerializer.validate_url',
        'label_studio.ml_host.serving.webhooks:validate_url',
        ('self', 'value'),
        'Upstream refuses the webhook that it makes for an HTTP backend on this machine, also where that is allowed.',
    ),
    Seam(
        'webhooks.utils:ssrf_safe_post',
        'label_studio.ml_host.serving.webhooks:post',
        ('url',),
        'The webhook of an HTTP backend that is allowed on this machine is delivered there.',
    ),
)


def _resolve(target: str) -> tuple[Any, str]:
    module_name, _, path = target.partition(':')
    owner: Any = import_module(module_name)
    *parents, name = path.split('.')
    for parent in parents:
        owner = _member(owner, parent)
    return owner, name


def _member(owner: Any, name: str) -> Any:
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def _function(owner: Any, name: str) -> Any:
    """What stands there, not bound to anything."""
    return owner[name] if isinstance(owner, dict) else inspect.getattr_static(owner, name)


def _put(owner: Any, name: str, function: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = function
    else:
        setattr(owner, name, function)


def check_seam(seam: Seam) -> None:
    """Fail when upstream no longer is what the replacement relies on.

    Raises:
        ImproperlyConfigured: Names the seam and the difference.
    """
    try:
        owner, name = _resolve(seam.target)
        original = inspect.unwrap(_member(owner, name))
    except (ImportError, AttributeError, KeyError) as error:
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
        current = _function(owner, name)
        function = current.__func__ if isinstance(current, staticmethod) else current
        if getattr(function, 'is_seam', False):
            continue
        check_seam(seam)
        wrapped = _wrap(function, seam.replacement)
        _put(owner, name, staticmethod(wrapped) if isinstance(current, staticmethod) else wrapped)
        if seam.receives is not None:
            _receive_instead(seam, function, wrapped)


def _receive_instead(seam: Seam, original: Callable[..., Any], wrapped: Callable[..., Any]) -> None:
    signal, sender = (_member(*_resolve(path)) for path in seam.receives)
    if not signal.disconnect(original, sender=sender):
        raise ImproperlyConfigured(f'Upstream changed: {seam.target} does not receive {seam.receives}. {seam.why}')
    signal.connect(wrapped, sender=sender, dispatch_uid=seam.target)
