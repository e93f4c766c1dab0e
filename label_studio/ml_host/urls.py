"""Our pages and API first, then everything of upstream."""

from core.urls import urlpatterns as upstream_patterns
from django.urls import include, path

from label_studio.ml_host.api.urls import urlpatterns as api_patterns
from label_studio.ml_host.pages.assets import asset_patterns
from label_studio.ml_host.pages.mounts import plugin_patterns
from label_studio.ml_host.privacy import no_live_tips
from label_studio.ml_host.protocol.urls import urlpatterns as protocol_patterns

# Each under a name of its own: upstream's code and tests reverse every name that has none.
urlpatterns = [
    path('heidi-tips/', no_live_tips),
    path('', include((asset_patterns(), 'ml_host_assets'))),
    path('', include('label_studio.ml_host.pages.urls')),
    path('', include((api_patterns, 'ml_host_api'))),
    path('', include((protocol_patterns, 'ml_host_protocol'))),
    *plugin_patterns(),
    *upstream_patterns,
]

handler500 = 'label_studio.ml_host.pages.errors.server_error'
