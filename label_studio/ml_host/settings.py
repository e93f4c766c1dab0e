"""Upstream's settings, then ours: no telemetry, SQLite for concurrent writers, queues, plugin apps.

Import order matters. Upstream's ``core.settings.label_studio`` reads ``django.conf.settings`` while it is being
imported (to start Sentry), so the names of ``core.settings.base`` must already stand in this module, with the
error reporting and the version check switched off.
"""

import os
from pathlib import Path

from core.settings.base import *  # noqa: F403
from core.settings.base import BASE_DATA_DIR, DJANGO_DB_SQLITE, INSTALLED_APPS, LOGGING, RQ_QUEUES, STORAGES, TEMPLATES
from core.utils.secret_key import is_collectstatic
from django.core.exceptions import ImproperlyConfigured

from label_studio.core.utils.params import get_bool_env, get_env
from label_studio.ml_host.lean import import_without_optional_parts
from label_studio.ml_host.secret_key import settle_secret_key

SENTRY_DSN = None
FRONTEND_SENTRY_DSN = None
LATEST_VERSION_CHECK = False

import_without_optional_parts()
if not is_collectstatic():
    settle_secret_key(Path(BASE_DATA_DIR))

from core.settings.label_studio import *  # noqa: F403
from core.settings.label_studio import DATABASES, DJANGO_DB

# --- Privacy: nothing leaves the server --------------------------------------------------------------------------
SENTRY_DSN = None
FRONTEND_SENTRY_DSN = None
LATEST_VERSION_CHECK = False
COLLECT_ANALYTICS = False

# --- Database ----------------------------------------------------------------------------------------------------
if DJANGO_DB == DJANGO_DB_SQLITE:
    # Web threads, workers and background runs write at the same time: readers never block (WAL), writers queue
    # for the lock from the first statement on (IMMEDIATE) instead of failing in the middle of a transaction.
    DATABASES['default'].setdefault('OPTIONS', {}).update(
        timeout=float(get_env('SQLITE_BUSY_TIMEOUT', 30)),
        transaction_mode='IMMEDIATE',
        init_command='PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;',
    )

# --- Machine learning --------------------------------------------------------------------------------------------
ML_DATA_DIR = Path(BASE_DATA_DIR) / 'ml'
ML_LOG_DIR = ML_DATA_DIR / 'logs'
ML_VERSION_DIR = ML_DATA_DIR / 'versions'
ML_WORK_DIR = ML_DATA_DIR / 'work'
# What models said about tasks, for active learning; web servers and workers on several machines share it.
ML_ANSWER_DIR = Path(get_env('ML_ANSWER_DIR', str(ML_DATA_DIR / 'answers')))
ML_CACHE_DIR = ML_DATA_DIR / 'cache'
# Plugin that is enabled on every new project whose label config it can serve.
ML_DEFAULT_BACKEND = get_env('ML_DEFAULT_BACKEND', '')
# Entry points that are not loaded at all, by name.
ML_EXCLUDED_BACKENDS = [name for name in get_env('ML_EXCLUDED_BACKENDS', '').split(',') if name]
# How long opening a task may wait for a prediction, in seconds.
ML_OPEN_BUDGET = float(get_env('ML_OPEN_BUDGET', 2.0))
# How long one batch may compute before the model counts as hanging, in seconds.
ML_PREDICT_TIMEOUT = float(get_env('ML_PREDICT_TIMEOUT', 60.0))
# Failures in a row that open the circuit breaker, and how long it stays open, in seconds.
ML_BREAKER_FAILURES = int(get_env('ML_BREAKER_FAILURES', 3))
ML_BREAKER_SECONDS = float(get_env('ML_BREAKER_SECONDS', 60.0))
# Where models run: "cpu", a CUDA device such as "cuda:0", or "auto" for the best there is.
ML_DEVICE = get_env('ML_DEVICE', 'auto')
# Resident models kept in one process.
ML_RESIDENT_MODELS = int(get_env('ML_RESIDENT_MODELS', 4))
# Bytes of memory that they may take together; 0 for no budget.
ML_MEMORY_BUDGET = int(get_env('ML_MEMORY_BUDGET', 0))
# How far models give way to the pages of the same machine, 0..19, on Linux.
ML_NICENESS = int(get_env('ML_NICENESS', 5))
# Tasks of each priority that may wait for one model before callers are told to come back later.
ML_QUEUE_TASKS = int(get_env('ML_QUEUE_TASKS', 10_000))
# Prediction service: let callers without a token in; most items and bytes of one request; seconds it may take.
ML_PREDICT_ANONYMOUS = get_bool_env('ML_PREDICT_ANONYMOUS', False)
ML_PREDICT_MAX_ITEMS = int(get_env('ML_PREDICT_MAX_ITEMS', 100))
ML_PREDICT_MAX_BYTES = int(get_env('ML_PREDICT_MAX_BYTES', 50 * 1024**2))
ML_PREDICT_SERVICE_TIMEOUT = float(get_env('ML_PREDICT_SERVICE_TIMEOUT', 30.0))
# Seconds that another Label Studio's request for predictions may take; it waits 100 by itself.
ML_REMOTE_PREDICT_TIMEOUT = float(get_env('ML_REMOTE_PREDICT_TIMEOUT', 90.0))
# Plugins that other Label Studios may use, by name; all when none is named.
ML_SERVED_BACKENDS = [name for name in get_env('ML_SERVED_BACKENDS', '').split(',') if name]
# Other Label Studios in private networks that may be asked for tasks and files: addresses, with commas between them.
ML_REMOTE_HOSTS = [address.strip() for address in get_env('ML_REMOTE_HOSTS', '').split(',') if address.strip()]
# Let anybody who reaches the server read /metrics/ml without a token.
ML_METRICS_ANONYMOUS = get_bool_env('ML_METRICS_ANONYMOUS', False)
# Largest file that a task may bring, in bytes, and largest image, in pixels.
ML_MAX_FILE_BYTES = int(get_env('ML_MAX_FILE_BYTES', 100 * 1024 * 1024))
ML_MAX_IMAGE_PIXELS = int(get_env('ML_MAX_IMAGE_PIXELS', 100_000_000))
# Seconds allowed for fetching one file by URL.
ML_FETCH_TIMEOUT = float(get_env('ML_FETCH_TIMEOUT', 20.0))
# Bytes of fetched files kept on disk.
ML_FILE_CACHE_BYTES = int(get_env('ML_FILE_CACHE_BYTES', 2 * 1024**3))
# Share of labeled tasks held out for evaluation.
ML_HELD_OUT_SHARE = float(get_env('ML_HELD_OUT_SHARE', 0.2))
# A training run that has not reported for this long is taken to be lost, in seconds.
ML_RUN_LOST_AFTER = float(get_env('ML_RUN_LOST_AFTER', 60.0))
# How often a lost run is started again before it is marked failed.
ML_RUN_ATTEMPTS = int(get_env('ML_RUN_ATTEMPTS', 2))
ML_TRAINING_TIMEOUT = int(get_env('ML_TRAINING_TIMEOUT', 24 * 3600))
# Bytes of memory that a training process may take with its children, on Linux; 0 for no limit.
ML_TRAINING_MEMORY = int(get_env('ML_TRAINING_MEMORY', 0))
# Share of a GPU's memory that a training may take, so that predictions on the same GPU have some.
ML_TRAINING_GPU_SHARE = float(get_env('ML_TRAINING_GPU_SHARE', 1.0))
if not 0 < ML_TRAINING_GPU_SHARE <= 1:
    raise ImproperlyConfigured(f'ML_TRAINING_GPU_SHARE={ML_TRAINING_GPU_SHARE}: must be over 0 and at most 1')
# Where bulk pre-labeling works: "server", in the web process, or "queue", by workers of the queue `ml_predict`.
ML_PRELABEL_WHERE = get_env('ML_PRELABEL_WHERE', 'server')
if ML_PRELABEL_WHERE not in ('server', 'queue'):
    raise ImproperlyConfigured(f'ML_PRELABEL_WHERE={ML_PRELABEL_WHERE!r}: must be "server" or "queue"')
# Runs that one web process works on at the same time.
ML_PRELABEL_THREADS = int(get_env('ML_PRELABEL_THREADS', 1))
# Tasks of one job in the queue.
ML_PRELABEL_SHARD = int(get_env('ML_PRELABEL_SHARD', 2000))
# A process that has not reported for this long has lost its work to another one, in seconds.
ML_PRELABEL_LEASE = float(get_env('ML_PRELABEL_LEASE', 15.0))
# Threads that load the files of the next tasks, and the bytes that they may hold.
ML_PRELABEL_LOADERS = int(get_env('ML_PRELABEL_LOADERS', 4))
ML_PRELABEL_LOADED_BYTES = int(get_env('ML_PRELABEL_LOADED_BYTES', 256 * 1024**2))
# How long a query strategy may take to score and choose, in seconds.
ML_SAMPLING_TIMEOUT = float(get_env('ML_SAMPLING_TIMEOUT', 300.0))

# --- Queues ------------------------------------------------------------------------------------------------------
from label_studio.ml_host.queues import queue_connection, redis_is_configured

ML_TRAIN_QUEUE = 'ml_train'
ML_PREDICT_QUEUE = 'ml_predict'
# Replays and the like, for which nobody's training waits.
ML_ANALYSIS_QUEUE = 'ml_analysis'
_CONNECTION = queue_connection(os.environ)
if redis_is_configured(os.environ):
    RQ_QUEUES = {name: {**_CONNECTION, 'DEFAULT_TIMEOUT': 180} for name in RQ_QUEUES}
# Else upstream's queues stay as they are: without a Redis it runs its own jobs at once, and a long training on the
# private Redis never holds up an import.
RQ_QUEUES[ML_TRAIN_QUEUE] = {**_CONNECTION, 'DEFAULT_TIMEOUT': ML_TRAINING_TIMEOUT}
RQ_QUEUES[ML_PREDICT_QUEUE] = {**_CONNECTION, 'DEFAULT_TIMEOUT': ML_TRAINING_TIMEOUT}
RQ_QUEUES[ML_ANALYSIS_QUEUE] = {**_CONNECTION, 'DEFAULT_TIMEOUT': ML_TRAINING_TIMEOUT}

# --- Apps, pages -------------------------------------------------------------------------------------------------
from label_studio.ml_host.plugins import installed_plugin_apps

INSTALLED_APPS = [
    *INSTALLED_APPS,
    'django_htmx',
    'label_studio.ml_host',
    *installed_plugin_apps(exclude=ML_EXCLUDED_BACKENDS, taken=INSTALLED_APPS),
]
ROOT_URLCONF = 'label_studio.ml_host.urls'
DATA_MANAGER_GET_ALL_COLUMNS = 'label_studio.ml_host.data_manager.columns.get_all_columns'
WSGI_APPLICATION = 'label_studio.ml_host.wsgi.application'
# Our base.html extends upstream's template of the same name, so its folder has to come first.
TEMPLATES[0]['DIRS'] = [str(Path(__file__).parent / 'templates'), *TEMPLATES[0]['DIRS']]
# Static files of plugins have addresses too.
STORAGES['staticfiles'] = {'BACKEND': 'label_studio.ml_host.pages.static_storage.StaticFiles'}

# --- Model versions ----------------------------------------------------------------------------------------------
from label_studio.ml_host.versions.storage_setting import version_storage

# Where the files of versions are, beside the local disk: an alias in STORAGES, or empty.
try:
    ML_VERSION_STORAGE, _STORAGE = version_storage(
        get_env('ML_VERSION_STORAGE', ''), get_env('ML_VERSION_STORAGE_OPTIONS', ''), STORAGES
    )
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error
STORAGES.update(_STORAGE)
# Bytes of local copies of stored versions; the ones in service and those just used are kept beyond it.
ML_VERSION_CACHE_BYTES = int(get_env('ML_VERSION_CACHE_BYTES', 20 * 1024**3))
# Largest version that may be uploaded, in bytes, packed and unpacked.
ML_VERSION_UPLOAD_BYTES = int(get_env('ML_VERSION_UPLOAD_BYTES', 2 * 1024**3))

# --- Logs --------------------------------------------------------------------------------------------------------
from label_studio.ml_host.logs import logging_config

LOGGING = logging_config(LOGGING, ML_LOG_DIR, level=get_env('ML_LOG_LEVEL', 'INFO'))

# HTTP ML backends on this machine or in a private network: only with an explicit setting.
ML_BLOCK_LOCAL_IP = get_bool_env('ML_BLOCK_LOCAL_IP', True)
# Addresses of HTTP ML backends that are allowed all the same, with commas between them.
ML_ALLOWED_BACKEND_URLS = [url.strip() for url in get_env('ML_ALLOWED_BACKEND_URLS', '').split(',') if url.strip()]
# Tasks of one request to an HTTP ML backend in a bulk run.
ML_HTTP_BATCH = int(get_env('ML_HTTP_BATCH', 16))
