"""Pages of the plugin, mounted by the server at ``/plugins/demo/``."""

from django.urls import path

from mlp_demo import views

app_name = 'mlp_demo'
urlpatterns = [path('', views.summary, name='summary')]
