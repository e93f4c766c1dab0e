"""Routes of the REST endpoints."""

from django.urls import path, re_path

from label_studio.ml_host.api import (
    label_errors,
    metrics,
    predict,
    prelabel,
    quality,
    replay,
    sampling,
    versions,
    views,
)

_BACKEND = 'api/projects/<int:pk>/ml-backends/<slug:name>/'
_PRELABEL = f'{_BACKEND}prelabel-runs/'
_LABEL_ERRORS = f'{_BACKEND}label-errors/<int:run>/'
_VERSION = f'{_BACKEND}versions/<int:number>/'

urlpatterns = [
    re_path(r'^metrics/ml/?$', metrics.MetricsAPI.as_view(), name='ml-metrics'),
    path('api/ml-plugins/', views.PluginListAPI.as_view(), name='ml-plugin-list'),
    path('api/projects/<int:pk>/ml-backends/', views.BackendListAPI.as_view(), name='ml-backend-list'),
    path(_BACKEND, views.BackendAPI.as_view(), name='ml-backend'),
    path(f'{_BACKEND}train/', views.BackendTrainAPI.as_view(), name='ml-backend-train'),
    path(f'{_BACKEND}reset/', views.BackendResetAPI.as_view(), name='ml-backend-reset'),
    path(f'{_BACKEND}runs/', views.RunListAPI.as_view(), name='ml-run-list'),
    path(f'{_BACKEND}runs/<int:run>/', views.RunAPI.as_view(), name='ml-run'),
    path(f'{_BACKEND}runs/<int:run>/cancel/', views.RunCancelAPI.as_view(), name='ml-run-cancel'),
    path(f'{_BACKEND}runs/<int:run>/log/', views.RunLogAPI.as_view(), name='ml-run-log'),
    path(f'{_BACKEND}versions/', versions.VersionListAPI.as_view(), name='ml-version-list'),
    path(_VERSION, versions.VersionAPI.as_view(), name='ml-version'),
    path(f'{_VERSION}put-in-service/', versions.VersionInServiceAPI.as_view(), name='ml-version-in-service'),
    path(f'{_VERSION}archive/', versions.VersionArchiveAPI.as_view(), name='ml-version-archive'),
    path(f'{_VERSION}unarchive/', versions.VersionUnarchiveAPI.as_view(), name='ml-version-unarchive'),
    path(f'{_VERSION}download/', versions.VersionDownloadAPI.as_view(), name='ml-version-download'),
    path(
        f'{_BACKEND}versions/<int:number>/compare/<int:other>/',
        quality.VersionCompareAPI.as_view(),
        name='ml-version-compare',
    ),
    path(f'{_BACKEND}learning-curve/', quality.LearningCurveAPI.as_view(), name='ml-learning-curve'),
    path(f'{_BACKEND}sampling/', sampling.SamplingAPI.as_view(), name='ml-sampling'),
    path(f'{_BACKEND}sampling/refresh/', sampling.SamplingRefreshAPI.as_view(), name='ml-sampling-refresh'),
    path(f'{_BACKEND}sampling/use-again/', sampling.SamplingUseAgainAPI.as_view(), name='ml-sampling-use-again'),
    path('api/projects/<int:pk>/prelabel/', prelabel.ActivePrelabelAPI.as_view(), name='ml-prelabel'),
    path(_PRELABEL, prelabel.PrelabelRunListAPI.as_view(), name='ml-prelabel-run-list'),
    path(f'{_PRELABEL}<int:run>/', prelabel.PrelabelRunAPI.as_view(), name='ml-prelabel-run'),
    path(f'{_PRELABEL}<int:run>/cancel/', prelabel.PrelabelCancelAPI.as_view(), name='ml-prelabel-cancel'),
    path(f'{_PRELABEL}<int:run>/resume/', prelabel.PrelabelResumeAPI.as_view(), name='ml-prelabel-resume'),
    path(f'{_PRELABEL}<int:run>/retry-failed/', prelabel.PrelabelRetryAPI.as_view(), name='ml-prelabel-retry'),
    path(f'{_PRELABEL}<int:run>/failures/', prelabel.PrelabelFailuresAPI.as_view(), name='ml-prelabel-failures'),
    path(f'{_BACKEND}replays/', replay.ReplayListAPI.as_view(), name='ml-replay-list'),
    path(f'{_BACKEND}replays/<int:run>/', replay.ReplayAPI.as_view(), name='ml-replay'),
    path(f'{_BACKEND}replays/<int:run>/cancel/', replay.ReplayCancelAPI.as_view(), name='ml-replay-cancel'),
    path(f'{_BACKEND}label-errors/', label_errors.LabelErrorListAPI.as_view(), name='ml-label-error-list'),
    path(_LABEL_ERRORS, label_errors.LabelErrorAPI.as_view(), name='ml-label-errors'),
    path(f'{_LABEL_ERRORS}cancel/', label_errors.LabelErrorCancelAPI.as_view(), name='ml-label-error-cancel'),
    path(f'{_LABEL_ERRORS}review/', label_errors.LabelReviewAPI.as_view(), name='ml-label-error-review'),
    # Both with and without a slash: a POST cannot be redirected.
    re_path(r'^predict/?$', predict.PredictAPI.as_view(), name='ml-predict'),
    re_path(r'^api/projects/(?P<pk>\d+)/predict/?$', predict.ProjectPredictAPI.as_view(), name='ml-project-predict'),
]
