"""The panel with the models in memory of the process that answers."""

import os

import pytest

from label_studio.ml_host.enabling.services import enable
from label_studio.ml_host.serving import host
from label_studio.ml_host.upstream import Organization, Project, User
from ml_plugins.exceptions import CircuitOpenError
from ml_plugins.types import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def show(browser, project):
    def _show() -> str:
        response = browser.get(f'/projects/{project.pk}/ml-backends/models.html')
        assert response.status_code == 200
        return response.content.decode()

    return _show


@pytest.fixture
def loaded(project, owner, constant):
    """A model that has predicted two batches."""
    enable(project, 'constant', owner)
    row = project.plugin_backends.get()
    spec = host.spec_for(row, project.label_config)
    for count in (3, 1):
        host.runtime().submit(spec, [Task(number, {'image': 'x'}) for number in range(count)]).result(10)
    return spec


def cells(text: str) -> list[str]:
    row = text.partition('<tbody>')[2].partition('</tbody>')[0]
    return [part.partition('</td>')[0].rpartition('>')[2].strip() for part in row.split('<td')[1:]]


def test_nothing_in_memory(show):
    text = show()
    assert 'No model is in memory' in text and f'Process {os.getpid()} on ' in text


def test_a_model_with_its_numbers(show, loaded, project):
    name, own, version, memory, waiting, batches, mean, wait, inference, _ = cells(show())
    assert (name, own, version) == ('constant', f'{project.pk} · Pets', 'untrained')
    assert 'byte' in memory or 'B' in memory
    assert (waiting, batches, mean) == ('0', '2', '2.0')
    for pair in (wait, inference):
        middle, high = map(float, pair.split(' / '))
        assert 0 <= middle <= high < 10_000
    assert '<td>ready</td>' in show()


def test_before_the_first_batch_there_are_no_numbers(show, loaded, project):
    host.reset()
    host.runtime().warm(loaded).result(10)
    *_, batches, mean, wait, inference, _ = cells(show())
    assert (batches, mean, wait, inference) == ('0', '-', '- / -', '- / -')


def test_a_resting_backend(show, loaded):
    breaker = host.runtime().breaker('constant', loaded.project_id)
    for _ in range(3):
        breaker.failed()
    with pytest.raises(CircuitOpenError):
        breaker.check()
    assert 'resting after 3 failures in a row' in show()


def test_titles_of_other_organizations_stay_hidden(show, loaded, constant):
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    other = Organization.create_organization(created_by=stranger, title='Other')
    secret = Project.objects.create(
        title='Secret plans', created_by=stranger, organization=other, label_config=loaded.label_config
    )
    enable(secret, 'constant', stranger)
    host.runtime().warm(host.spec_for(secret.plugin_backends.get(), secret.label_config)).result(10)
    text = show()
    assert text.count('data-model="constant"') == 2
    assert f'<td>{secret.pk}</td>' in text and 'Secret plans' not in text


def test_the_page_asks_for_it_while_it_is_open(browser, project, constant):
    text = browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()
    panel = text.partition('id="ml-models"')[2].partition('</details>')[0]
    assert 'Models in memory of this process' in panel
    assert f'hx-get="/projects/{project.pk}/ml-backends/models.html"' in panel
    assert 'hx-trigger="toggle from:closest details, every 3s"' in panel


def test_it_is_for_people_of_the_project(client, sign_in, project):
    url = f'/projects/{project.pk}/ml-backends/models.html'
    assert client.get(url).status_code == 302
    stranger = User.objects.create_user(email='stranger@example.org', password='x')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    assert sign_in(stranger).get(url).status_code == 404
