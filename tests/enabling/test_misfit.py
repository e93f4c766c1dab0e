"""A label config that is changed under an enabled backend."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ModelVersion, ProjectBackend, TrainingRun
from label_studio.ml_host.upstream import Project, UpstreamMLBackend
from ml_plugins import LabelConfigError
from tests.inline_plugins import ConstantBackend
from tests.pages.conftest import browser, sign_in  # noqa: F401

pytestmark = pytest.mark.django_db

RATING = '<View><Image name="image" value="$image"/><Rating name="stars" toName="image"/></View>'
MORE = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="cat"/><Choice value="bird"/></Choices></View>'
)


@pytest.fixture
def enabled(project, owner, constant):
    services.enable(project, 'constant', owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def change(api, project):
    def changed(label_config):
        response = api.patch(f'/api/projects/{project.pk}/', {'label_config': label_config}, format='json')
        assert response.status_code == 200, response.content
        return api.get(f'/api/projects/{project.pk}/ml-backends/constant/').json()

    return changed


def test_a_backend_that_does_not_fit_any_more_is_switched_off_with_the_reason(enabled, owner, change):
    version = ModelVersion.objects.create(project=enabled, backend='constant', number=1, directory='none')
    ProjectBackend.objects.update(in_service=version, learns=True)
    run = TrainingRun.objects.create(project=enabled, backend='constant')
    state = change(RATING)
    assert state['enabled'] is False
    assert 'The label config was changed' in state['switched_off']
    assert 'needs <Choices> on <Image>' in state['switched_off']
    assert not UpstreamMLBackend.objects.exists()
    enabled.refresh_from_db()
    assert not enabled.model_version
    event = BackendEvent.objects.get(action='disabled')
    assert (event.user, event.detail) == (owner, {'reason': state['switched_off']})
    run.refresh_from_db()
    assert run.state == 'cancelled'
    assert ModelVersion.objects.filter(pk=version.pk).exists()
    assert ProjectBackend.objects.get().in_service == version


def test_it_is_switched_on_again_by_hand_once_it_fits(enabled, owner, change):
    before = enabled.label_config
    change(RATING)
    project = Project.objects.get(pk=enabled.pk)
    with pytest.raises(LabelConfigError):
        services.enable(project, 'constant', owner)
    assert change(before)['enabled'] is False
    services.enable(Project.objects.get(pk=enabled.pk), 'constant', owner)
    state = change(before)
    assert (state['enabled'], state['switched_off']) == (True, '')


def test_a_label_config_that_still_fits_changes_nothing(enabled, change):
    assert change(MORE)['enabled'] is True
    assert not BackendEvent.objects.filter(action='disabled').exists()


def test_who_switched_it_off_needs_no_reason(enabled, owner, change):
    services.disable(enabled, 'constant', owner)
    assert change(RATING)['switched_off'] == ''


def test_a_check_that_breaks_switches_nothing_off(project, owner, inline_plugins, change):
    class Broken(ConstantBackend):
        breaks = False

        @classmethod
        def check(cls, label_config):
            if cls.breaks:
                raise RuntimeError('a defect')

    inline_plugins('broken', Broken)
    services.enable(project, 'broken', owner)
    Broken.breaks = True
    response = Project.objects.get(pk=project.pk)
    response.label_config = MORE
    response.save()
    assert ProjectBackend.objects.get().enabled


def test_other_changes_do_not_ask_the_backend(enabled, monkeypatch):
    asked = []
    monkeypatch.setattr(services, 'check_servable', lambda project, plugin: asked.append(plugin))
    enabled.title = 'Cats'
    enabled.save(update_fields=['title'])
    assert asked == []


def test_the_page_says_why(enabled, change, browser):  # noqa: F811
    change(RATING)
    text = browser.get(f'/projects/{enabled.pk}/ml-backends/').content.decode()
    assert 'The server switched it off.' in text
    assert 'It cannot be enabled' in text
