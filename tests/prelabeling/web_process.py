"""A process that has everything imported and forks real server processes and workers when it is told to.

Starting an interpreter with upstream's apps takes seconds; a test that kills ten servers has no time for that. It reads
commands as JSON lines and answers each with one JSON line. See `processes.py`.
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


class Sleepy(MLBackend):
    """Says "cat" after a while: MS_A_BATCH and MS_A_TASK milliseconds."""

    serves = (Serves('Choices', 'Text'),)
    max_batch = 16

    def setup(self):
        self.region = self.label_config.control('Choices').choices('cat', score=0.9)

    def predict(self, tasks, interaction=None):
        pause = float(os.environ.get('MS_A_BATCH', 0)) + float(os.environ.get('MS_A_TASK', 0)) * len(tasks)
        if pause:
            time.sleep(pause / 1000)
        return [Prediction([self.region], score=0.9) for _ in tasks]

    def fit(self, dataset, run):
        (run.directory / 'labels').write_text(str(len(dataset)))
        return {}


register('sleepy', Sleepy)


def prepare(tasks: int) -> dict:
    """A user and a project with tasks and the model."""
    from label_studio.ml_host.enabling import services
    from label_studio.ml_host.upstream import Organization, Project, Task, User

    user = User.objects.create_user(email='owner@example.org', password='secret-pass')
    organization = Organization.create_organization(created_by=user, title='Example')
    User.objects.filter(pk=user.pk).update(active_organization=organization)
    project = Project.objects.create(title='Texts', created_by=user, organization=organization, label_config=CONFIG)
    services.enable(project, 'sleepy', user)
    rows = [Task(project=project, data={'text': f'text {number}'}) for number in range(tasks)]
    Task.objects.bulk_create(rows, batch_size=500)
    return {'project': project.pk}


def start_run(project: int) -> dict:
    """Queue a run for all tasks."""
    from label_studio.ml_host.prelabeling import runs
    from label_studio.ml_host.upstream import Project

    return {'run': runs.start(Project.objects.get(pk=project), 'sleepy').pk}


def learn(project: int, after_labels: int) -> dict:
    """Switch learning on."""
    from label_studio.ml_host.learning import services
    from label_studio.ml_host.upstream import Project

    settings = {'after_labels': after_labels, 'every_minutes': 0}
    return services.set_learning(Project.objects.get(pk=project), 'sleepy', True, settings).learning


def label(project: int, count: int) -> dict:
    """Label the last tasks, as an import does: past the signals."""
    from label_studio.ml_host.upstream import Annotation, Task

    value = {'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['dog']}}
    tasks = list(Task.objects.filter(project=project, is_labeled=False).order_by('-id')[:count])
    Annotation.objects.bulk_create([Annotation(task=task, project_id=project, result=[value]) for task in tasks])
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(is_labeled=True)
    return {'labeled': len(tasks)}


def learned() -> dict:
    """Trainings, the version in service, and how many tasks each version predicted."""
    from django.db.models import Count

    from label_studio.ml_host.models import ProjectBackend, TrainingRun
    from label_studio.ml_host.upstream import Prediction as StoredPrediction

    row = ProjectBackend.objects.select_related('in_service').get()
    made = StoredPrediction.objects.values('model_version').annotate(number=Count('id'))
    return {
        'runs': list(TrainingRun.objects.order_by('id').values_list('state', 'trigger', 'error')),
        'in_service': row.in_service.number if row.in_service else None,
        'predicted': dict(made.values_list('model_version', 'number')),
    }


def report() -> dict:
    """What stands in the database."""
    from django.db.models import Count

    from label_studio.ml_host.models import PrelabelRun
    from label_studio.ml_host.prelabeling import runs
    from label_studio.ml_host.upstream import Prediction as StoredPrediction
    from label_studio.ml_host.upstream import Task

    found = StoredPrediction.objects.values('task_id').annotate(number=Count('id')).values_list('number', flat=True)
    run = PrelabelRun.objects.first()
    return {
        'tasks': Task.objects.count(),
        'predicted': len(found),
        'most': max(found, default=0),
        'totals': sorted(set(Task.objects.values_list('total_predictions', flat=True))),
        'state': run.state,
        'error': run.error,
        'done': runs.progress(run).done,
        'skipped': runs.progress(run).skipped,
        'failed': runs.progress(run).failed,
        'owners': sorted(set(run.shards.values_list('owner', flat=True))),
        'shards': run.shards.count(),
    }


def serve(port: int, ready, begins: bool = True) -> None:
    """A web server; ends by a signal.

    Args:
        begins: Look after runs at once, as ours does; else it is left to the application, as under another server.
    """
    from waitress.server import create_server

    from label_studio.ml_host.prelabeling import conductor
    from label_studio.ml_host.wsgi import application

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    server = create_server(application, host='127.0.0.1', port=port, threads=8)
    if begins:
        conductor.start()
    ready()
    try:
        server.run()
    finally:
        conductor.stop()


def work(burst: bool, queue: str, ready) -> None:
    """A worker of one of the queues."""
    from label_studio.ml_host.training.worker import run_worker

    ready()
    run_worker([queue], burst=burst)


def _fork(name: str, arguments: dict) -> dict:
    """Call a function in a child; what it returns, or the child's number once it says that it is ready."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1

        def answer(content: dict) -> None:
            os.write(writing, json.dumps(content).encode())
            os.close(writing)

        try:
            if name in LASTING:
                globals()[name](**arguments, ready=lambda: answer({'pid': os.getpid()}))
            else:
                answer(globals()[name](**arguments))
            code = 0
        except SystemExit:
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        content = pipe.read()
    if name not in LASTING:
        os.waitpid(child, 0)
    return json.loads(content) if content else {'failed': name}


LASTING = (serve.__name__, work.__name__)


def main() -> None:
    from django.db import connections

    # Upstream's apps ask the database while they are loaded; children must not share that connection.
    connections.close_all()
    print(json.dumps({'ready': True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop('command')
        if name == 'wait':
            _, status = os.waitpid(command['pid'], 0)
            answer = {'status': status}
        else:
            answer = _fork(name, command)
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
