"""Switching plugins on and off for a project, from every side."""

import pytest

from label_studio.ml_host.enabling import services
from label_studio.ml_host.models import BackendEvent, ProjectBackend
from label_studio.ml_host.upstream import Project, UpstreamMLBackend, Webhook
from ml_plugins import LabelConfigError
from ml_plugins.exceptions import PluginNotFoundError

pytestmark = pytest.mark.django_db


def test_enabling_shows_a_connected_model_to_upstream(project, owner, api, constant):
    services.enable(project, 'constant', owner)
    [model] = api.get(f'/api/ml?project={project.pk}').json()
    assert (model['url'], model['title'], model['readable_state']) == ('plugin://constant', 'constant', 'Connected')
    project.refresh_from_db()
    assert project.model_version == 'constant'
    assert not Webhook.objects.exists()


def test_a_label_config_that_cannot_be_served_is_refused_by_name(owner, constant):
    text = Project.objects.create(
        title='Texts',
        created_by=owner,
        organization=owner.active_organization,
        label_config='<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>',
    )
    with pytest.raises(LabelConfigError, match='needs <Choices> on <Image>, and the label config has <TextArea>'):
        services.enable(text, 'constant', owner)
    assert not ProjectBackend.objects.exists()


def test_an_unknown_name_lists_what_is_installed(project, constant):
    with pytest.raises(PluginNotFoundError, match=r'no ML backend "nothing". Installed: .*constant'):
        services.enable(project, 'nothing')


def test_disabling_disconnects_and_is_on_record(project, owner, constant):
    services.enable(project, 'constant', owner)
    services.disable(project, 'constant', owner)
    assert not UpstreamMLBackend.objects.exists()
    assert not ProjectBackend.objects.get().enabled
    actions = list(BackendEvent.objects.order_by('id').values_list('action', 'user__email'))
    assert actions == [('enabled', 'owner@example.org'), ('disabled', 'owner@example.org')]


def test_connecting_and_disconnecting_through_upstreams_api(project, api, constant):
    response = api.post('/api/ml', {'url': 'plugin://constant', 'project': project.pk, 'title': 'mine'}, format='json')
    assert response.status_code == 201, response.content
    assert ProjectBackend.objects.get().enabled
    assert BackendEvent.objects.filter(action='enabled').count() == 1
    assert api.delete(f'/api/ml/{response.json()["id"]}').status_code == 204
    assert not ProjectBackend.objects.get().enabled


def test_upstreams_api_refuses_an_unknown_plugin(project, api, constant):
    response = api.post('/api/ml', {'url': 'plugin://nothing', 'project': project.pk}, format='json')
    assert response.status_code == 400
    assert 'Installed' in response.content.decode()


def test_the_default_backend_comes_with_the_first_fitting_label_config(owner, project, constant, settings):
    settings.ML_DEFAULT_BACKEND = 'constant'
    new = Project.objects.create(title='New', created_by=owner, organization=owner.active_organization)
    assert not ProjectBackend.objects.get(project=new).enabled
    new.label_config = project.label_config
    new.save()
    assert ProjectBackend.objects.get(project=new).enabled
    services.disable(new, 'constant', owner)
    new.save()
    assert not ProjectBackend.objects.get(project=new).enabled
    assert not ProjectBackend.objects.filter(project=project).exists()
