"""Unmodified Label Studio retrieving predictions from the official SDK's server; run by bench_prelabel.py.

    python peer_upstream.py SDK_PYTHON LABEL_CONFIG

Runs in an environment of its own with label-studio 1.23.2. Prints predictions a second.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 200
SERVER = """
import sys
from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase
class Model(LabelStudioMLBase):
    def predict(self, tasks, **kwargs):
        result = [{'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['yes']}}]
        return [{'result': result, 'score': 0.9} for _ in tasks]
app = init_app(Model, model_dir=sys.argv[2])
import logging; logging.disable(logging.CRITICAL)
app.run(host='127.0.0.1', port=int(sys.argv[1]), threaded=True)
"""


def main() -> None:
    sdk, config = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix='bench-upstream-')
    os.environ.update(
        LABEL_STUDIO_BASE_DATA_DIR=folder,
        ML_BLOCK_LOCAL_IP='false',
        SSRF_PROTECTION_ENABLED='false',
        COLLECT_ANALYTICS='false',
        DJANGO_DB='sqlite',
        DJANGO_SETTINGS_MODULE='core.settings.label_studio',
    )
    import label_studio

    sys.path.insert(0, str(Path(label_studio.__file__).parent))
    import django
    from django.core.management import call_command

    django.setup()
    call_command('migrate', verbosity=0)
    from ml.models import MLBackend
    from organizations.models import Organization
    from projects.models import Project
    from rest_framework.test import APIClient
    from tasks.models import Prediction, Task
    from users.models import User

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sdk, '-c', SERVER, str(port), folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(120):
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                break
            except OSError:
                time.sleep(0.5)
        user = User.objects.create_user(email='bench@example.org', password='bench-pass')
        user.active_organization = Organization.create_organization(created_by=user, title='Bench')
        user.save()
        project = Project.objects.create(
            title='Bench', created_by=user, organization=user.active_organization, label_config=config
        )
        Task.objects.bulk_create(
            Task(project=project, data={'text': f'This is text number {number}.'}, inner_id=number)
            for number in range(COUNT)
        )
        MLBackend.objects.create(project=project, url=f'http://127.0.0.1:{port}', title='peer')
        client = APIClient()
        client.force_authenticate(user)
        start = time.perf_counter()
        answer = client.post(
            f'/api/dm/actions?id=retrieve_tasks_predictions&project={project.pk}',
            {'selectedItems': {'all': True, 'excluded': []}},
            format='json',
        )
        seconds = time.perf_counter() - start
        made = Prediction.objects.filter(project=project).count()
        assert answer.status_code == 200 and made == COUNT, (answer.status_code, made)
        print(COUNT / seconds)
    finally:
        server.kill()


if __name__ == '__main__':
    main()
