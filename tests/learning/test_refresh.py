"""A new version predicts again what an older one predicted, the tasks that are given out soonest first."""

import pytest

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.learning import refresh
from label_studio.ml_host.models import BackendEvent, ModelVersion, PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling import conductor, lifecycle, runs, turns
from label_studio.ml_host.prelabeling.selection import unpack
from label_studio.ml_host.upstream import Annotation, Prediction, Task
from tests.inline_plugins import ConstantBackend
from tests.prelabeling.drive import finish, make_tasks

pytestmark = pytest.mark.django_db(transaction=True)


class Trainable(ConstantBackend):
    """Says "cat", and can be trained."""

    def fit(self, dataset, run):
        return {}


@pytest.fixture
def row(project, owner, inline_plugins, monkeypatch):
    """A backend that learns."""
    monkeypatch.setattr('label_studio.ml_host.serving.host._version_files', lambda version: None)
    inline_plugins('trainable', Trainable)
    row = enabling.enable(project, 'trainable', owner)
    project.refresh_from_db()
    ProjectBackend.objects.update(learns=True)
    row.refresh_from_db()
    return row


@pytest.fixture
def serve(row, project):
    """Puts a new version in service; returns the refresh that it begins."""

    def put(number):
        version = ModelVersion.objects.create(project=project, backend=row.backend, number=number, directory='none')
        ProjectBackend.objects.filter(pk=row.pk).update(in_service=version)
        return refresh.after_version(row)

    return put


def predicted(label):
    return sorted(Prediction.objects.filter(model_version=label).values_list('task_id', flat=True))


def test_outdated_predictions_of_unlabeled_tasks_are_made_again_in_order(row, project, serve):
    tasks = make_tasks(project, 6)
    finish(runs.start(project, 'trainable', tasks[:5]))
    Task.objects.filter(pk=tasks[1]).update(is_labeled=True)
    Prediction.objects.create(task_id=tasks[5], project=project, model_version='imported', result=[])
    run = serve(1)
    assert (run.refresh, run.skip_labeled, run.created_by, run.label) == (True, True, None, 'trainable-v1')
    assert list(unpack(run.selection)) == [tasks[0], *tasks[2:5]]
    finish(run)
    assert predicted('trainable-v1') == [tasks[0], *tasks[2:5]]
    assert predicted('trainable-v0') == [tasks[1]]
    assert serve(2) is not None


def test_predictions_do_not_pile_up_and_keep_their_numbers(row, project, owner, serve):
    tasks = make_tasks(project, 4)
    finish(runs.start(project, 'trainable'))
    numbers = dict(Prediction.objects.values_list('task_id', 'id'))
    # Of two annotators one has submitted: the task is not labeled yet.
    Annotation.objects.create(
        task_id=tasks[0], project=project, completed_by=owner, parent_prediction_id=numbers[tasks[0]], result=[]
    )
    Task.objects.update(is_labeled=False)
    for version in (1, 2, 3):
        finish(serve(version))
    assert predicted('trainable-v3') == tasks
    assert {task: number for task, number in numbers.items() if task != tasks[0]} == dict(
        Prediction.objects.exclude(task_id=tasks[0]).values_list('task_id', 'id')
    )
    # What an annotation came from stays as it was, and one more is there that is replaced from then on.
    kept = Prediction.objects.filter(task_id=tasks[0]).order_by('id').values_list('id', 'model_version')
    assert [kept[0], kept[1][1], len(kept)] == [(numbers[tasks[0]], 'trainable-v0'), 'trainable-v3', 2]
    assert list(Task.objects.order_by('id').values_list('total_predictions', flat=True)) == [2, 1, 1, 1]


def test_a_task_that_is_open_while_its_prediction_is_replaced_can_be_submitted(row, project, api, serve):
    [task] = make_tasks(project, 1)
    finish(runs.start(project, 'trainable'))
    shown = api.get(f'/api/tasks/{task}/').json()['predictions'][0]['id']
    finish(serve(1))
    answer = api.post(f'/api/tasks/{task}/annotations/', {'result': [], 'parent_prediction': shown}, format='json')
    assert (answer.status_code, answer.json()['parent_prediction']) == (201, shown)


def test_a_task_that_is_labeled_meanwhile_is_left_out(row, project, serve):
    tasks = make_tasks(project, 3)
    finish(runs.start(project, 'trainable'))
    run = serve(1)
    Task.objects.filter(pk=tasks[0]).update(is_labeled=True)
    finish(run)
    assert predicted('trainable-v1') == tasks[1:]


def test_nothing_is_refreshed_where_nothing_is_outdated_or_wanted(row, project, serve):
    tasks = make_tasks(project, 2)
    assert serve(1) is None
    finish(runs.start(project, 'trainable'))
    assert refresh.after_version(row) is None
    for changes in ({'learning': {'refresh': False}}, {'learning': {}, 'learns': False}):
        ProjectBackend.objects.update(**changes)
        assert serve(ModelVersion.objects.count() + 1) is None
    ProjectBackend.objects.update(learns=True, enabled=False)
    assert refresh.after_version(row) is None
    assert predicted('trainable-v1') == tasks


def test_the_next_version_takes_the_place_of_a_refresh(row, project, serve):
    make_tasks(project, 5)
    finish(runs.start(project, 'trainable'))
    first = serve(1)
    conductor.begin_runs()
    first.refresh_from_db()
    assert first.state == 'running'
    second = serve(2)
    third = serve(3)
    finish(third)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, third.state) == ('cancelled', 'cancelled', 'finished')
    assert 'Another version is in service now' in first.error
    assert predicted('trainable-v1') == predicted('trainable-v2') == []
    assert len(predicted('trainable-v3')) == 5
    # The versions are on record; what they make anew is not.
    assert BackendEvent.objects.filter(action__startswith='prelabel').count() == 1


def test_going_back_to_an_older_version_refreshes_too(row, project, serve):
    early = make_tasks(project, 2)
    finish(runs.start(project, 'trainable'))
    finish(serve(1))
    late = make_tasks(project, 1)
    finish(serve(2))
    finish(runs.start(project, 'trainable'))
    ProjectBackend.objects.update(in_service=ModelVersion.objects.get(number=1))
    run = refresh.after_version(row)
    assert list(unpack(run.selection)) == early + late


def test_what_somebody_asks_for_goes_first_and_the_refresh_goes_on_after_it(row, project, serve, owner):
    tasks = make_tasks(project, 4)
    finish(runs.start(project, 'trainable', tasks[:3]))
    outdated = serve(1)
    conductor.begin_runs()
    asked = runs.start(project, 'trainable', tasks[3:], user=owner)
    conductor.begin_runs()
    outdated.refresh_from_db()
    asked.refresh_from_db()
    assert (outdated.state, asked.state) == ('queued', 'running')
    assert 'goes first' in outdated.note
    while turns.work_next():
        pass
    assert predicted('trainable-v1') == tasks[3:]
    finish(outdated)
    assert outdated.state == 'finished'
    assert predicted('trainable-v1') == tasks


def test_a_refresh_waits_for_what_somebody_asked_for(row, project, serve, owner):
    tasks = make_tasks(project, 3)
    finish(runs.start(project, 'trainable'))
    asked = runs.start(project, 'trainable', tasks, user=owner)
    conductor.begin_runs()
    outdated = serve(1)
    conductor.begin_runs()
    outdated.refresh_from_db()
    asked.refresh_from_db()
    assert (outdated.state, asked.state) == ('queued', 'running')


def test_refreshes_do_not_push_out_the_runs_of_people(row, project, serve, monkeypatch):
    monkeypatch.setattr(lifecycle, 'KEPT_RUNS', 2)
    monkeypatch.setattr(lifecycle, 'KEPT_REFRESHES', 1)
    make_tasks(project, 1)
    finish(runs.start(project, 'trainable'))
    for number in range(1, 5):
        finish(serve(number))
    assert PrelabelRun.objects.filter(refresh=False).count() == 1
    assert PrelabelRun.objects.filter(refresh=True).count() == 1


def test_a_version_is_in_service_also_when_the_refresh_fails(row, project, serve, monkeypatch):
    make_tasks(project, 1)
    finish(runs.start(project, 'trainable'))
    monkeypatch.setattr(refresh.runs, 'create_run', lambda *args: 1 / 0)
    assert serve(1) is None
