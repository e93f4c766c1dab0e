"""Our pages and API first, then everything of upstream."""


from core.urls import urlpatterns as upstream_patterns

urlpatterns = [
    *upstream_patterns,
]
