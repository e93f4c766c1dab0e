"""Routes of the ML backend protocol."""

from django.urls import path, re_path

from label_studio.ml_host.protocol import views
from label_studio.ml_host.protocol.answers import HANDLERS

_ENDPOINTS = '|'.join([*(name for name in HANDLERS if name), 'metrics'])

# Both with and without a slash: a POST cannot be redirected.
urlpatterns = [
    re_path(r'^ml/?$', views.listing, name='list'),
    path('ml/<slug:name>', views.endpoint, {'what': ''}, name='root'),
    path('ml/<slug:name>/', views.endpoint, {'what': ''}, name='root-slash'),
    re_path(rf'^ml/(?P<name>[-\w]+)/(?P<what>{_ENDPOINTS})/?$', views.endpoint, name='endpoint'),
]
