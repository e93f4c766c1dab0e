"""WSGI application for deployments that bring their own web server."""

from label_studio.ml_host import bootstrap

bootstrap.prepare()

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()
