"""WSGI application for deployments that bring their own web server, and for ours."""

from label_studio.ml_host import bootstrap

bootstrap.prepare()

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

from label_studio.ml_host.serving import background  # noqa: E402
from label_studio.ml_host.serving.service.direct import with_short_way  # noqa: E402

application = background.serving(with_short_way(application))
