"""Routes of the REST endpoints."""

from django.urls import path

from label_studio.ml_host.api import views

_BACKEND = 'api/projects/<int:pk>/ml-backends/<slug:name>/'

urlpatterns = [
    path('api/ml-plugins/', views.PluginListAPI.as_view(), name='ml-plugin-list'),
    path('api/projects/<int:pk>/ml-backends/', views.BackendListAPI.as_view(), name='ml-backend-list'),
    path(_BACKEND, views.BackendAPI.as_view(), name='ml-backend'),
    path(f'{_BACKEND}train/', views.BackendTrainAPI.as_view(), name='ml-backend-train'),
    path(f'{_BACKEND}reset/', views.BackendResetAPI.as_view(), name='ml-backend-reset'),
    path(f'{_BACKEND}runs/', views.RunListAPI.as_view(), name='ml-run-list'),
    path(f'{_BACKEND}runs/<int:run>/', views.RunAPI.as_view(), name='ml-run'),
    path(f'{_BACKEND}runs/<int:run>/cancel/', views.RunCancelAPI.as_view(), name='ml-run-cancel'),
    path(f'{_BACKEND}runs/<int:run>/log/', views.RunLogAPI.as_view(), name='ml-run-log'),
    path(f'{_BACKEND}versions/', views.VersionListAPI.as_view(), name='ml-version-list'),
    path(
        f'{_BACKEND}versions/<int:number>/put-in-service/',
        views.VersionInServiceAPI.as_view(),
        name='ml-version-in-service',
    ),
]
