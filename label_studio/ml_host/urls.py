"""Our pages and API first, then everything of upstream."""

from core.urls import urlpatterns as upstream_patterns
from django.urls import include, path

from label_studio.ml_host.api.urls import urlpatterns as api_patterns
from label_studio.ml_host.pages.assets import urlpatterns as asset_patterns
from label_studio.ml_host.pages.mounts import plugin_patterns
from label_studio.ml_host.privacy import no_live_tips

urlpatterns = [
    path('heidi-tips/', no_live_tips),
    *asset_patterns,
    path('', include('label_studio.ml_host.pages.urls')),
    *api_patterns,
    *plugin_patterns(),
    *upstream_patterns,
]
