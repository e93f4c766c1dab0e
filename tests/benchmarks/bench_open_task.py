"""Opening a task with a constant model, against the same request with the backend disabled.

    python tests/benchmarks/bench_open_task.py

Prints the medians of 50 first opens (predict and store) and 50 repeated ones (stored prediction), and the ratio.
The asked figure: at most 10 ms more.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
ROUNDS = 50


def prepare() -> None:
    folder = tempfile.mkdtemp(prefix='bench-open-')
    os.environ['LABEL_STUDIO_BASE_DATA_DIR'] = folder
    subprocess.run([sys.executable, str(ROOT / 'manage.py'), 'migrate', '-v', '0'], check=True, cwd=ROOT)
    from label_studio.ml_host import bootstrap

    bootstrap.setup()


def make_project():
    from label_studio.ml_host.upstream import Organization, Project, Task, User

    user = User.objects.create_user(email='bench@example.org', password='bench-pass')
    organization = Organization.create_organization(created_by=user, title='Bench')
    user.active_organization = organization
    user.save()
    config = (
        '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
        '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
    )
    project = Project.objects.create(title='Bench', created_by=user, organization=organization, label_config=config)
    tasks = [
        Task.objects.create(project=project, data={'image': f'https://example.org/{number}.jpg'})
        for number in range(3 * ROUNDS + 1)
    ]
    return user, project, tasks


def measure(client, tasks) -> list[float]:
    times = []
    for task in tasks:
        start = time.perf_counter()
        response = client.get(f'/api/tasks/{task.pk}/')
        times.append(1000 * (time.perf_counter() - start))
        assert response.status_code == 200
    return times


def main() -> None:
    prepare()
    from rest_framework.test import APIClient

    from label_studio.ml_host.enabling import services
    from tests.inline_plugins import ConstantBackend, register

    user, project, tasks = make_project()
    register('constant', ConstantBackend)
    client = APIClient()
    client.force_authenticate(user)
    measure(client, tasks[:5])
    services.enable(project, 'constant', user)
    measure(client, tasks[-1:])
    first, disabled, again = [], [], []
    # The three kinds alternate, so that a busy moment of the machine meets all of them.
    for number in range(ROUNDS):
        first += measure(client, [tasks[number]])
        again += measure(client, [tasks[number]])
        services.disable(project, 'constant')
        disabled += measure(client, [tasks[ROUNDS + number]])
        services.enable(project, 'constant', user)
        measure(client, [tasks[-1]])
    base = statistics.median(disabled)
    print(f'disabled            median {base:7.2f} ms')
    for name, times in (('enabled, first open', first), ('enabled, open again', again)):
        median = statistics.median(times)
        print(f'{name} median {median:7.2f} ms  ratio {median / base:.2f}  difference {median - base:+.2f} ms (<= 10)')


if __name__ == '__main__':
    main()
