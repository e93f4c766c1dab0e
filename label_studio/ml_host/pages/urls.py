"""Routes of the ML backends page."""

from django.urls import path

from label_studio.ml_host.pages import views

app_name = 'ml_host'

_PAGE = 'projects/<int:pk>/ml-backends/'
_BACKEND = f'{_PAGE}<slug:name>/'

urlpatterns = [
    path(_PAGE, views.page, name='page'),
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
    path(f'{_BACKEND}versions/<int:number>/put-in-service/', views.put_in_service, name='put-in-service'),
]
