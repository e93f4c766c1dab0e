"""Cases that need a process without a past: `python tests/training/cases.py NAME SOCKET` prints what came out as JSON.

A worker forks a child for each run, and a child cannot use torch's threads when its parent has used them before; in a
process of pytest any other test may have.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if __name__ == '__main__':
    from label_studio.ml_host import bootstrap

    bootstrap.setup()

from ml_plugins import MLBackend, Prediction, Serves

CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="dog"/></Choices></View>'
)


def run_case(name: str, data_dir: Path, socket: Path | str) -> dict:
    """Run a case in a process of its own; what it found."""
    done = subprocess.run(
        [sys.executable, __file__, name, str(socket)],
        env={**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(data_dir)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


class Slow(MLBackend):
    """Says the label that the version names; as long as there is a file `hold`, loading does not end."""

    serves = (Serves('Choices', 'Image'),)
    needs_training = True

    def setup(self):
        self.label = (self.version.path / 'label').read_text()
        if (self.folder / 'hold').exists():
            (self.folder / 'loading').touch()
            time.sleep(600)

    @property
    def folder(self):
        from django.conf import settings

        return Path(settings.BASE_DATA_DIR)

    def predict(self, tasks, interaction=None):
        return [Prediction([self.label_config.control('Choices').choices(self.label)], score=0.9) for _ in tasks]

    def fit(self, dataset, run):
        (run.directory / 'label').write_text('dog' if run.previous else 'cat')
        return {}


def labeled_project(pictures: int):
    """A project with small labeled pictures, and its owner."""
    import base64

    from label_studio.ml_host.upstream import Annotation, Organization, Project, Task, User
    from tests.e2e.pictures import picture

    user = User.objects.create_user(email='owner@example.org', password='secret-pass')
    organization = Organization.create_organization(created_by=user, title='Example')
    User.objects.filter(pk=user.pk).update(active_organization=organization)
    project = Project.objects.create(title='Pets', created_by=user, organization=organization, label_config=CONFIG)
    for number in range(pictures):
        name, colour = (('cat', 'red'), ('dog', 'blue'))[number % 2]
        address = f'data:image/png;base64,{base64.b64encode(picture(colour, number)).decode()}'
        task = Task.objects.create(project=project, data={'image': address})
        value = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': [name]}}
        Annotation.objects.create(task=task, project=project, completed_by=user, result=[value])
    return project, user


def kill_when(there) -> threading.Thread:
    """Kill the process of the running run as soon as `there` says so."""
    from django.db import connection

    from label_studio.ml_host.models import TrainingRun

    def wait():
        for _ in range(6000):
            if there():
                try:
                    found = TrainingRun.objects.filter(state='running').values_list('worker', flat=True)[0]
                finally:
                    connection.close()
                os.kill(int(found.rpartition('/')[2]), signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def fine_tuning_killed() -> dict:
    """Fine-tuning whose process is killed after its first checkpoint, and the same again without a kill."""
    from django.conf import settings

    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.logs import run_log_path
    from label_studio.ml_host.models import ProjectBackend
    from label_studio.ml_host.training import runs, worker

    _load_torch()
    project, user = labeled_project(4)
    services.enable(project, 'image_classifier', user)
    params = {'fine_tune': True, 'epochs': 2, 'batch_size': 2}
    ProjectBackend.objects.filter(project=project).update(params=params)
    run = runs.request_training(project, 'image_classifier', user)
    folder = Path(settings.ML_WORK_DIR) / f'checkpoint-{run.pk}'
    killer = kill_when((folder / 'fine-tune.pt').exists)
    worker.run_worker(burst=True)
    killer.join()
    run.refresh_from_db()
    # Nobody disturbs the second one.
    again = runs.repeat(run.version, user)
    worker.run_worker(burst=True)
    again.refresh_from_db()
    return {
        'first': [run.state, run.error, run.attempts],
        'second': [again.state, again.error, again.attempts],
        'digests': [run.version.digest, again.version.digest],
        'log': run_log_path(Path(settings.ML_LOG_DIR), run.pk).read_text(),
        'left': folder.exists(),
    }


def _load_torch() -> None:
    """Once for all children, and without computing anything: they could not use torch's threads after that."""
    import efficientnet_lite_pytorch  # noqa: F401
    import torch

    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])


def server_killed_in_a_swap() -> dict:
    """A web process that is killed while it loads the version that has just gone into service."""
    from django.db import connections

    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.models import ProjectBackend
    from label_studio.ml_host.training import runs, worker
    from label_studio.ml_host.versions.service import put_in_service
    from tests.inline_plugins import register

    register('slow', Slow)
    project, user = labeled_project(3)
    services.enable(project, 'slow', user)
    folder = Path(os.environ['LABEL_STUDIO_BASE_DATA_DIR'])
    for _ in range(2):
        run = runs.request_training(project, 'slow', user)
        worker.run_worker(burst=True)
        run.refresh_from_db()
        assert run.state == 'finished', run.error
        ProjectBackend.objects.update(learning={'rule': 'manual'})
    before = _web_process(project.pk)
    (folder / 'hold').touch()
    put_in_service(run.version, user)
    _until((folder / 'loading').exists)
    os.kill(before['pid'], signal.SIGKILL)
    os.waitpid(before['pid'], 0)
    (folder / 'hold').unlink()
    connections.close_all()
    after = _web_process(project.pk)
    os.kill(after['pid'], signal.SIGKILL)
    os.waitpid(after['pid'], 0)
    return {'before': before['version'], 'after': after['version'], 'answer': after['answer']}


def _web_process(project_id: int) -> dict:
    """Fork a process that does what a web server does besides answering, and asks for one prediction."""
    from django.db import connections

    connections.close_all()
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            return {'pid': child, **json.loads(pipe.readline())}
    try:
        from label_studio.ml_host.enabling import gate
        from label_studio.ml_host.serving import background, host
        from ml_plugins import Task

        background.start()
        row = gate.active(project_id, 'slow')
        (answer,) = host.runtime().submit(host.spec_for(row, CONFIG), [Task(1, {'image': '/a.png'})]).result(60)
        found = {'version': row.in_service.label, 'answer': answer.regions[0].value['choices'][0]}
        os.write(writing, (json.dumps(found) + '\n').encode())
        time.sleep(600)
    finally:
        os._exit(1)


def _until(check, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, 'nothing happened'
        time.sleep(0.02)


def main() -> None:
    name, socket = sys.argv[1:]
    # Torch's threads wait for each other actively: beside other processes one is quicker than two.
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    from django.db import connections
    from django_rq.settings import QUEUES

    for queue in ('ml_train', 'ml_predict', 'ml_analysis'):
        QUEUES[queue] = {'UNIX_SOCKET_PATH': socket, 'DB': 1, 'DEFAULT_TIMEOUT': 60}
    import django_rq

    django_rq.get_queue('ml_train').connection.flushdb()
    answer = globals()[name]()
    connections.close_all()
    print(json.dumps(answer))


if __name__ == '__main__':
    main()
