"""Run by test_swap_in_servers.py: prepares a project with three versions, and forks two real web servers.

Prints one JSON line when both answer, and ends them when its input ends.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from label_studio.ml_host import bootstrap

bootstrap.setup()

from ml_plugins import MLBackend, Prediction, Serves  # noqa: E402
from tests.inline_plugins import register  # noqa: E402

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)
# So long takes loading a version, in seconds; a request that waited for it would be seen.
LOADING = 1.0


class Heavy(MLBackend):
    """Takes its time to load, and says the version's number as score."""

    serves = (Serves('Choices', 'Text'),)
    needs_training = True

    def setup(self):
        time.sleep(LOADING)
        self.number = int((self.version.path / 'number').read_text())
        self.region = self.label_config.control('Choices').choices('cat')

    def predict(self, tasks, interaction=None):
        return [Prediction([self.region], score=self.number / 100) for _ in tasks]

    def fit(self, dataset, run):
        raise NotImplementedError


register('heavy', Heavy)


def prepare() -> dict:
    """A project with the model in its first version, and two more beside it."""
    from rest_framework.authtoken.models import Token

    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.quality.examination import Examination
    from label_studio.ml_host.upstream import Organization, Project, User

    user = User.objects.create_user(email='owner@example.org', password='secret-pass')
    organization = Organization.create_organization(created_by=user, title='Example')
    organization.jwt.legacy_api_tokens_enabled = True
    organization.jwt.save()
    user.active_organization = organization
    user.save()
    project = Project.objects.create(title='Texts', created_by=user, organization=organization, label_config=CONFIG)
    services.enable(project, 'heavy', user)
    for serve in (True, False, False):
        _publish(project, Examination(serve, ''))
    return {'project': project.pk, 'token': Token.objects.get(user=user).key}


def _publish(project, examination) -> None:
    import tempfile

    from label_studio.ml_host.models import ModelVersion, TrainingRun
    from label_studio.ml_host.training import lifecycle
    from label_studio.ml_host.versions.publishing import publish

    run = lifecycle.claim(TrainingRun.objects.create(project=project, backend='heavy').pk)
    left = Path(tempfile.mkdtemp(dir=os.environ['LABEL_STUDIO_BASE_DATA_DIR']))
    (left / 'number').write_text(str(ModelVersion.objects.count() + 1))
    publish(run, left, {}, 1, examination=examination)


def serve(port: int) -> None:
    """A web server, as ours is, with a version folder of its own as on another machine; ends by a signal."""
    from django.conf import settings
    from waitress.server import create_server

    from label_studio.ml_host.serving import background
    from label_studio.ml_host.wsgi import application

    settings.ML_VERSION_DIR = settings.ML_DATA_DIR / f'versions-{port}'
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    server = create_server(application, host='127.0.0.1', port=port, threads=8)
    background.start()
    try:
        server.run()
    finally:
        background.stop()


def fork(act) -> int:
    """Do something in a child; returns its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    except SystemExit:
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(ports: list[int]) -> None:
    from django.db import connections

    prepared = prepare()
    # Children must not share a connection.
    connections.close_all()
    children = [fork(lambda port=port: serve(port)) for port in ports]
    print(json.dumps(prepared), flush=True)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


if __name__ == '__main__':
    main([int(port) for port in sys.argv[1:]])
