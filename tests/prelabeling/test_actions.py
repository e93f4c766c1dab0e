"""The Data Manager's actions: what they offer, what they start, and what they answer."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ModelVersion, PrelabelRun, ProjectBackend
from label_studio.ml_host.prelabeling.selection import unpack
from label_studio.ml_host.upstream import Annotation, Prediction, Task, UpstreamMLBackend
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db

REGION = {'from_name': 'choice', 'to_name': 'image', 'type': 'choices', 'value': {'choices': ['cat']}}


class NeedsTraining(ConstantBackend):
    needs_training = True

    def fit(self, dataset, run):
        return {}


@pytest.fixture
def tasks(project):
    return [Task.objects.create(project=project, data={'image': f'https://example.org/{n}.jpg'}) for n in range(4)]


@pytest.fixture
def enabled(project, owner, constant, tasks):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return ProjectBackend.objects.get()


@pytest.fixture
def act(api, project):
    """Perform an action as the Data Manager does."""

    def _act(action='prelabel_tasks', status=200, selected=None, filters=(), **values):
        body = {
            'ordering': [],
            'selectedItems': selected or {'all': True, 'excluded': []},
            'filters': {'conjunction': 'and', 'items': list(filters)},
            **values,
        }
        response = api.post(f'/api/dm/actions?id={action}&tabID=1&project={project.pk}', body, format='json')
        assert response.status_code == status, response.content
        return response.json()

    return _act


def offered(api, project) -> dict[str, dict]:
    return {action['id']: action for action in api.get(f'/api/dm/actions?project={project.pk}').json()}


def new_version(row, number: int) -> ModelVersion:
    return ModelVersion.objects.create(
        project=row.project, backend=row.backend, number=number, directory='x', digest='x'
    )


def test_without_a_model_the_action_is_greyed_out(api, project, constant, owner):
    entry = offered(api, project)['prelabel_tasks']
    assert (entry['disabled'], entry['title']) == (True, 'Pre-label with…')
    assert 'ML backends' in entry['disabled_reason']
    services.enable(project, 'constant', owner)
    assert offered(api, project)['prelabel_tasks']['disabled'] is False


def test_the_form_offers_every_version_and_what_to_skip(api, project, enabled, inline_plugins, owner):
    versions = {number: new_version(enabled, number) for number in (1, 2, 3)}
    enabled.in_service = versions[2]
    enabled.save()
    inline_plugins('another', ConstantBackend)
    services.enable(project, 'another', owner)
    [[model], [skip]] = [
        row['fields'] for row in api.get(f'/api/dm/actions/prelabel_tasks/form?project={project.pk}').json()
    ]
    assert [(option['value'], option['label']) for option in model['options']] == [
        ('constant', 'constant, version 2 (in service)'),
        ('constant:3', 'constant, version 3'),
        ('constant:1', 'constant, version 1'),
        ('another', 'another, as installed'),
    ]
    assert model['value'] == 'constant'
    assert [option['label'] for option in skip['options']][:3] == [
        'Predict all',
        'Skip tasks with any prediction',
        'Skip labeled tasks',
    ]


def test_the_selected_model_comes_first(api, project, enabled, inline_plugins, owner):
    inline_plugins('another', ConstantBackend)
    services.enable(project, 'another', owner)
    project.model_version = 'another'
    project.save()
    [[model], _] = [
        row['fields'] for row in api.get(f'/api/dm/actions/prelabel_tasks/form?project={project.pk}').json()
    ]
    assert model['value'] == 'another'


def test_all_tasks_are_not_listed(act, enabled, owner):
    answer = act()
    run = PrelabelRun.objects.get()
    assert answer == {
        'processed_items': 4,
        'detail': 'Pre-labeling of 4 tasks has started; see its progress on the ML backends page',
        'run': run.pk,
    }
    assert (run.selection, run.total, run.backend, run.created_by) == (None, 4, 'constant', owner)
    assert (run.skip_predicted, run.skip_labeled, run.version) == (False, False, None)
    event = BackendEvent.objects.filter(action='prelabel').get()
    assert (event.user, event.detail['run']) == (owner, run.pk)


def test_a_second_one_waits_and_says_so(act, enabled):
    act()
    assert 'waits for the one before it' in act(skip='labeled')['detail']


@pytest.mark.parametrize(
    ('choice', 'expected'),
    [('nothing', (False, False)), ('predicted', (True, False)), ('labeled', (False, True)), ('both', (True, True))],
)
def test_choices_reach_the_run(act, enabled, choice, expected):
    version = new_version(enabled, 5)
    act(model='constant:5', skip=choice)
    run = PrelabelRun.objects.get()
    assert (run.skip_predicted, run.skip_labeled) == expected
    assert (run.version, run.label) == (version, 'constant-v5')


def test_a_selection_is_listed(act, enabled, tasks):
    act(selected={'all': False, 'included': [tasks[2].pk, tasks[0].pk]})
    assert list(unpack(PrelabelRun.objects.get().selection)) == [tasks[0].pk, tasks[2].pk]


def test_all_but_some(act, enabled, tasks):
    act(selected={'all': True, 'excluded': [tasks[1].pk]})
    assert list(unpack(PrelabelRun.objects.get().selection)) == [tasks[n].pk for n in (0, 2, 3)]


def test_filtered_tasks_are_listed(act, enabled, tasks):
    Annotation.objects.create(task=tasks[3], project=enabled.project, result=[REGION])
    labeled = {'filter': 'filter:tasks:total_annotations', 'operator': 'greater', 'type': 'Number', 'value': 0}
    assert act(filters=[labeled])['detail'].startswith('Pre-labeling of 1 task has started')
    assert list(unpack(PrelabelRun.objects.get().selection)) == [tasks[3].pk]


def test_nothing_selected_is_not_everything(act, enabled):
    answer = act(status=400, selected={'all': False, 'included': []})
    assert answer['detail'] == 'selectedItems: no task is selected'
    assert not PrelabelRun.objects.exists()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'model': 'nothing'}, 'model: "nothing" is not enabled on this project; enabled are constant'),
        ({'model': 'constant:9'}, 'version: constant has no version "9"; it has none yet'),
        ({'model': 'constant:x'}, 'version: constant has no version "x"'),
        ({'skip': 'some'}, 'skip: "some" is not a choice; choose one of nothing, predicted, labeled, both'),
    ],
)
def test_a_wrong_choice_names_field_and_value(act, enabled, values, message):
    assert message in act(status=400, **values)['detail']
    assert not PrelabelRun.objects.exists()


@pytest.mark.parametrize('action', ['prelabel_tasks', 'retrieve_tasks_predictions'])
def test_an_untrained_model_is_refused(act, project, owner, tasks, inline_plugins, action):
    inline_plugins('learner', NeedsTraining)
    services.enable(project, 'learner', owner)
    assert act(action, status=409)['detail'] == '"learner" has no version yet: train it first.'


def test_without_a_model_it_is_refused(act, tasks):
    assert 'No model is enabled on this project' in act(status=400)['detail']


def test_retrieve_predictions_starts_a_run(act, enabled, tasks):
    answer = act('retrieve_tasks_predictions', selected={'all': False, 'included': [tasks[1].pk]})
    assert answer['detail'] == 'Pre-labeling of 1 task has started; see its progress on the ML backends page'
    assert list(unpack(PrelabelRun.objects.get().selection)) == [tasks[1].pk]
    assert ConstantBackend.calls == []


def test_retrieve_predictions_of_an_http_backend_says_when_it_is_away(act, project, tasks):
    # Upstream's rows are made without asking the address only where nobody sets them up.
    UpstreamMLBackend.objects.bulk_create([UpstreamMLBackend(project=project, url='http://localhost:9', title='http')])
    assert 'ML backend "http" at http://localhost:9 is not ready' in act('retrieve_tasks_predictions', 409)['detail']
    assert not PrelabelRun.objects.exists()


def test_predictions_become_annotations_of_the_version_in_service(api, act, project, enabled, tasks):
    for label in ('constant-v0', 'constant-v1'):
        Prediction.objects.create(
            project=project, task=tasks[0], model=enabled.connection, model_version=label, result=[REGION], score=0.5
        )
    [row] = api.get(f'/api/dm/actions/predictions_to_annotations/form?project={project.pk}').json()
    [field] = row['fields']
    assert (field['options'], field['value']) == (['constant-v0', 'constant-v1'], 'constant-v0')
    act('predictions_to_annotations', model_version=field['value'])
    assert Annotation.objects.get().parent_prediction.model_version == 'constant-v0'


def test_a_project_without_plugins_has_upstreams_form(api, project, tasks):
    project.model_version = 'offline'
    project.save()
    [row] = api.get(f'/api/dm/actions/predictions_to_annotations/form?project={project.pk}').json()
    assert (row['fields'][0]['options'], row['fields'][0]['value']) == (['offline'], 'offline')
