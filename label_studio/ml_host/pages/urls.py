"""Routes of the ML backends page."""

from django.urls import path

from label_studio.ml_host.pages import (
    label_error_views,
    models_panel,
    prelabel_views,
    replay_views,
    sampling_views,
    version_views,
    views,
)

app_name = 'ml_host'

_PAGE = 'projects/<int:pk>/ml-backends/'
_BACKEND = f'{_PAGE}<slug:name>/'
_PRELABEL = f'{_BACKEND}prelabel/'
_REPLAY = f'{_BACKEND}replay/'
_LABEL_ERRORS = f'{_BACKEND}label-errors/'
_SAMPLING = f'{_BACKEND}sampling/'
_VERSIONS = f'{_BACKEND}versions/'
_VERSION = f'{_VERSIONS}<int:number>/'

urlpatterns = [
    path(_PAGE, views.page, name='page'),
    # No plugin has a dot in its name.
    path(f'{_PAGE}models.html', models_panel.models, name='models'),
    path(f'{_PAGE}runtime.log', views.runtime_log, name='runtime-log'),
    path(_BACKEND, views.card, name='card'),
    path(f'{_BACKEND}enable/', views.enable, name='enable'),
    path(f'{_BACKEND}disable/', views.disable, name='disable'),
    path(f'{_BACKEND}params/', views.params, name='params'),
    path(f'{_BACKEND}train/', views.train, name='train'),
    path(f'{_BACKEND}reset/', views.reset, name='reset'),
    path(f'{_BACKEND}runs/', views.runs, name='runs'),
    path(f'{_BACKEND}runs/<int:number>/cancel/', views.cancel, name='cancel'),
    path(f'{_BACKEND}runs/<int:run>/log/', views.run_log, name='run-log'),
    path(_PRELABEL, prelabel_views.panel, name='prelabel'),
    path(f'{_PRELABEL}start/', prelabel_views.start, name='prelabel-start'),
    path(f'{_PRELABEL}new/', prelabel_views.switch_new, name='prelabel-new'),
    path(f'{_PRELABEL}<int:number>/cancel/', prelabel_views.cancel, name='prelabel-cancel'),
    path(f'{_PRELABEL}<int:number>/resume/', prelabel_views.resume, name='prelabel-resume'),
    path(f'{_PRELABEL}<int:number>/retry/', prelabel_views.retry, name='prelabel-retry'),
    path(f'{_PRELABEL}<int:number>/failures/', prelabel_views.failures, name='prelabel-failures'),
    path(_REPLAY, replay_views.panel, name='replay'),
    path(f'{_REPLAY}start/', replay_views.start, name='replay-start'),
    path(f'{_REPLAY}use/', replay_views.use, name='replay-use'),
    path(f'{_REPLAY}<int:number>/cancel/', replay_views.cancel, name='replay-cancel'),
    path(_LABEL_ERRORS, label_error_views.panel, name='label-errors'),
    path(f'{_LABEL_ERRORS}start/', label_error_views.start, name='label-errors-start'),
    path(f'{_LABEL_ERRORS}<int:number>/cancel/', label_error_views.cancel, name='label-errors-cancel'),
    path(f'{_LABEL_ERRORS}<int:number>/review/', label_error_views.review, name='label-errors-review'),
    path(f'{_BACKEND}learning/', version_views.learns, name='learning'),
    path(f'{_BACKEND}learning/switch/', version_views.learn, name='learn'),
    path(f'{_BACKEND}learning/settings/', version_views.settings, name='learning-settings'),
    path(_SAMPLING, sampling_views.sampling, name='sampling'),
    path(f'{_SAMPLING}switch/', sampling_views.switch, name='sampling-switch'),
    path(f'{_SAMPLING}settings/', sampling_views.settings, name='sampling-settings'),
    path(f'{_SAMPLING}refresh/', sampling_views.refresh, name='sampling-refresh'),
    path(f'{_SAMPLING}use-again/', sampling_views.use_again, name='sampling-use-again'),
    path(_VERSIONS, version_views.versions, name='versions'),
    path(f'{_VERSIONS}compare/', version_views.compare, name='compare'),
    path(f'{_VERSIONS}upload/', version_views.upload, name='upload'),
    path(f'{_VERSION}put-in-service/', version_views.put_in_service, name='put-in-service'),
    path(f'{_VERSION}archive/', version_views.archive, name='archive'),
    path(f'{_VERSION}unarchive/', version_views.unarchive, name='unarchive'),
    path(f'{_VERSION}delete/', version_views.delete, name='delete-version'),
    path(f'{_VERSION}repeat/', version_views.repeat, name='repeat'),
]
