"""Learning is switched on and off, and upstream's own switch is in step with it."""

import pytest

from label_studio.ml_host.enabling import services as enabling
from label_studio.ml_host.learning import services
from label_studio.ml_host.learning.settings import LearningSettingsError
from label_studio.ml_host.models import BackendEvent, ProjectBackend
from label_studio.ml_host.training.errors import CannotTrainError, NotEnabledError
from label_studio.ml_host.upstream import UpstreamMLBackend
from ml_plugins.exceptions import PluginNotFoundError
from tests.inline_plugins import ConstantBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def switch(api, project):
    """Uses the switch on upstream's Model page, and gives what the page shows then."""

    def used(on=None, **fields):
        if on is not None:
            fields['start_training_on_annotation_update'] = on
        if fields:
            response = api.patch(f'/api/projects/{project.pk}/', fields, format='json')
            assert response.status_code == 200, response.content
        return api.get(f'/api/projects/{project.pk}/').json()['start_training_on_annotation_update']

    return used


def learns():
    return dict(ProjectBackend.objects.order_by('id').values_list('backend', 'learns'))


def test_switching_on_and_off_is_on_record(counting, project, owner, switch):
    row = services.set_learning(project, 'counting', True, {'after_labels': 25}, owner)
    assert (row.learns, row.learning) == (True, {'after_labels': 25})
    assert switch() is True
    services.set_learning(project, 'counting', None, {'after_labels': '30', 'rule': 'better'}, owner)
    row = services.set_learning(project, 'counting', False, {}, owner)
    assert (row.learns, row.learning) == (False, {'after_labels': 30, 'rule': 'better'})
    assert switch() is False
    events = BackendEvent.objects.filter(action='learning').order_by('id').values_list('user', 'detail')
    assert list(events) == [
        (owner.pk, {'on': True, 'after_labels': 25}),
        (owner.pk, {'on': True, 'after_labels': 30, 'rule': 'better'}),
        (owner.pk, {'on': False, 'after_labels': 30, 'rule': 'better'}),
    ]


def test_what_changes_nothing_is_not_on_record(counting, project):
    services.set_learning(project, 'counting', False, {'after_labels': 10})
    assert not BackendEvent.objects.filter(action='learning').exists()


def test_it_says_why_it_cannot_be_switched_on(counting, project, owner, constant):
    with pytest.raises(LearningSettingsError, match=r'learning\.after_labels: -1 must be a whole number from 0'):
        services.set_learning(project, 'counting', True, {'after_labels': -1})
    with pytest.raises(PluginNotFoundError):
        services.set_learning(project, 'nothing', True, {})
    with pytest.raises(NotEnabledError, match='"constant" is not enabled on project'):
        services.set_learning(project, 'constant', True, {})
    with pytest.raises(NotEnabledError, match='"constant" is not enabled on project'):
        services.set_learning(project, 'constant', False, {})
    enabling.enable(project, 'constant', owner)
    with pytest.raises(CannotTrainError, match='"constant" does not train'):
        services.set_learning(project, 'constant', True, {})
    assert learns() == {'counting': False, 'constant': False}


def test_upstreams_switch_switches_the_plugins_that_train(counting, project, owner, constant, switch):
    enabling.enable(project, 'constant', owner)
    assert switch(True) is True
    assert learns() == {'counting': True, 'constant': False}
    assert switch(False) is False
    assert learns() == {'counting': False, 'constant': False}
    users = BackendEvent.objects.filter(action='learning').values_list('user', flat=True)
    assert list(users) == [owner.pk, owner.pk]


def test_other_changes_of_the_project_leave_the_switch_alone(counting, project, switch):
    services.set_learning(project, 'counting', True, {'after_labels': 25})
    assert switch(True, title='Cats') is True
    assert switch(title='Dogs') is True
    assert ProjectBackend.objects.get().learning == {'after_labels': 25}
    assert BackendEvent.objects.filter(action='learning').count() == 1


def test_a_number_of_annotations_is_taken_over(counting, project, switch):
    assert switch(min_annotations_to_start_training=50) is True
    assert (learns(), ProjectBackend.objects.get().learning) == ({'counting': True}, {'after_labels': 50})
    assert switch(min_annotations_to_start_training=3_000_000) is True
    assert ProjectBackend.objects.get().learning == {'after_labels': 1_000_000}


def test_the_switch_is_on_as_long_as_one_plugin_learns(counting, project, owner, inline_plugins, switch):
    inline_plugins('second', _trainable())
    enabling.enable(project, 'second', owner)
    services.set_learning(project, 'counting', True, {})
    services.set_learning(project, 'second', True, {})
    services.set_learning(project, 'counting', False, {})
    assert switch() is True
    services.set_learning(project, 'second', False, {})
    assert switch() is False


def test_a_disabled_backend_does_not_learn_and_goes_on_when_it_is_enabled_again(counting, project, owner, switch):
    services.set_learning(project, 'counting', True, {})
    enabling.disable(project, 'counting', owner)
    assert switch() is False
    enabling.enable(project, 'counting', owner)
    assert switch() is True
    assert learns() == {'counting': True}


def test_a_plugin_enabled_where_the_switch_is_on_learns(project, owner, inline_plugins, constant, switch):
    assert switch(True) is True
    enabling.enable(project, 'constant', owner)
    assert switch() is True
    inline_plugins('second', _trainable())
    project.refresh_from_db()
    enabling.enable(project, 'second', owner)
    assert learns() == {'constant': False, 'second': True}


def test_the_switch_stays_on_for_an_http_backend(counting, project, switch, settings):
    settings.ML_BLOCK_LOCAL_IP = False
    UpstreamMLBackend.objects.create(project=project, url='http://127.0.0.1:1', title='http')
    services.set_learning(project, 'counting', True, {})
    services.set_learning(project, 'counting', False, {})
    assert switch() is True
    assert switch(False) is False


def _trainable():
    class Trainable(ConstantBackend):
        def fit(self, dataset, run):
            return {}

    return Trainable
