"""What the server gives: values in the database, and answers to the calls that trainers make."""

import asyncio
import threading

import label_studio_sdk
import pytest
import requests
from django.db import connection
from label_studio_sdk.client import AsyncLabelStudio, LabelStudio

from label_studio.ml_host.models import SdkValue
from label_studio.ml_host.sdk.host import ServerHost
from label_studio.ml_host.upstream import Annotation, Project, Task
from label_studio.ml_host.upstream import Prediction as StoredPrediction
from ml_plugins.sdk import host, web
from ml_plugins.sdk.host import StoredValue
from ml_plugins.sdk.session import Session
from tests.sdk.cases import TEXT_CONFIG

pytestmark = pytest.mark.django_db


@pytest.fixture
def texts(owner):
    """A project with three labeled texts and one that is not."""
    project = Project.objects.create(
        title='Moods', created_by=owner, organization=owner.active_organization, label_config=TEXT_CONFIG
    )
    for number, label in enumerate(('good', 'bad', 'good', None)):
        task = Task.objects.create(project=project, data={'text': f'text {number}'})
        if label:
            result = [{'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': [label]}}]
            Annotation.objects.create(task=task, project=project, completed_by=owner, result=result)
    return project


@pytest.fixture
def at_work(texts, tmp_path):
    """As while a class of the SDK is at work."""
    web.install()
    session = Session('words', texts.pk, tmp_path)
    with session.active():
        yield session


def test_values_are_rows(texts):
    server = ServerHost()
    assert server.value('words', texts.pk, 'prompt') is None
    server.store('words', texts.pk, 'prompt', StoredValue('one'))
    server.store('words', texts.pk, 'prompt', StoredValue('two', in_training=True))
    server.store('votes', texts.pk, 'prompt', StoredValue('other'))
    assert server.value('words', texts.pk, 'prompt') == StoredValue('two', in_training=True)
    assert SdkValue.objects.count() == 2
    texts.delete()
    assert SdkValue.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_another_thread_sees_a_value_at_once(texts):
    server = ServerHost()
    assert server.value('words', texts.pk, 'prompt') is None

    def store():
        server.store('words', texts.pk, 'prompt', StoredValue('new'))
        connection.close()

    thread = threading.Thread(target=store)
    thread.start()
    thread.join()
    assert server.value('words', texts.pk, 'prompt') == StoredValue('new')


# --- Calls ------------------------------------------------------------------------------------------------------------


def test_the_older_client_needs_neither_address_nor_token(at_work, texts):
    project = label_studio_sdk.Client('http://localhost:8080', None).get_project(texts.pk)
    assert project.title == 'Moods'
    labeled = project.get_labeled_tasks()
    assert [task['data']['text'] for task in labeled] == ['text 0', 'text 1', 'text 2']
    assert labeled[1]['annotations'][0]['result'][0]['value']['choices'] == ['bad']
    assert len(project.export_tasks()) == 3
    made = project.create_prediction(labeled[0]['id'], result='good', score=0.5, model_version='mine')
    assert StoredPrediction.objects.get(pk=made['id']).model_version == 'mine'


def test_the_newer_client_does_as_well(at_work, texts):
    client = LabelStudio(base_url='http://localhost:8080')
    assert client.projects.get(texts.pk).title == 'Moods'
    assert len(list(client.tasks.list(project=texts.pk))) == 4


@pytest.mark.django_db(transaction=True)
def test_the_newer_client_with_asyncio_too(at_work, texts):
    async def titles():
        at_work.set('asked', 'yes')
        client = AsyncLabelStudio(base_url='http://localhost:8080')
        title = (await client.projects.get(texts.pk)).title
        return title, [task.id async for task in await client.tasks.list(project=texts.pk)], at_work.get('asked')

    title, tasks, stored = asyncio.run(titles())
    assert (title, len(tasks), stored) == ('Moods', 4, 'yes')


def test_plain_requests_are_answered(at_work, texts, settings):
    settings.HOSTNAME = 'https://labels.example.org'
    answer = requests.get(
        f'https://labels.example.org/api/projects/{texts.pk}/export',
        params={'exportType': 'JSON'},
        headers={'Authorization': 'Token wrong'},
        timeout=5,
    )
    assert answer.status_code == 200
    assert len(answer.json()) == 3
    assert requests.get(f'http://localhost:8080/api/projects/{texts.pk + 1}/', timeout=5).status_code == 404


def test_calls_see_what_the_owner_sees(at_work, owner, db):
    from label_studio.ml_host.upstream import Organization, User

    stranger = User.objects.create_user(email='stranger@example.org', password='secret-pass')
    organization = Organization.create_organization(created_by=stranger, title='Elsewhere')
    other = Project.objects.create(title='Theirs', created_by=stranger, organization=organization)
    assert requests.get(f'http://localhost:8080/api/projects/{other.pk}/', timeout=5).status_code in (403, 404)


def test_in_training_held_out_tasks_are_not_shown(at_work, texts):
    held_out = Task.objects.filter(project=texts).order_by('pk')[1].pk
    at_work.hidden_tasks = {held_out}
    project = label_studio_sdk.Client('http://localhost:8080', 'token').get_project(texts.pk)
    assert held_out not in {task['id'] for task in project.get_labeled_tasks()}
    assert held_out not in {task['id'] for task in project.export_tasks()}
    listed = LabelStudio(base_url='http://localhost:8080', api_key='token').tasks.list(project=texts.pk)
    assert held_out not in {task.id for task in listed}


def test_other_addresses_and_other_people_use_the_network(at_work, texts):
    """Nothing listens there, which only a connection can tell."""
    with pytest.raises(requests.ConnectionError):
        requests.get('http://127.0.0.1:9/api/projects/', timeout=5)
    assert web.is_own('http://localhost:8080/x') and not web.is_own('http://localhost:9/x')


def test_nothing_is_answered_where_no_class_is_at_work(texts):
    web.install()
    with pytest.raises(requests.ConnectionError):
        requests.get('http://localhost:8000/api/projects/', timeout=5)
    with pytest.raises(RuntimeError, match='LABEL_STUDIO_API_KEY'):
        label_studio_sdk.Client('http://localhost:8000', None)


def test_the_request_around_a_call_stays_as_it_was(at_work, owner, texts, rf):
    from label_studio.ml_host.upstream import get_current_request, request_locals

    request = rf.get('/')
    request.user = owner
    request_locals.request = request
    try:
        assert requests.get(f'http://localhost:8080/api/projects/{texts.pk}/', timeout=5).status_code == 200
        assert get_current_request() is request
    finally:
        del request_locals.request


def test_files_are_read_by_the_server(at_work, texts, owner):
    from django.core.files.base import ContentFile

    from label_studio.ml_host.task_data.resolver import plugin_task
    from label_studio.ml_host.upstream import FileUpload

    upload = FileUpload.objects.create(user=owner, project=texts, file=ContentFile(b'a fine day', name='day.txt'))
    task = Task.objects.create(project=texts, data={'text': upload.url})
    at_work.working_on([plugin_task(task)])
    path = at_work.local_path(upload.url, task.pk)
    assert open(path).read() == 'a fine day'  # noqa: PTH123, SIM115
    assert at_work.local_path(path) == path
    data = {'id': task.pk, 'data': {'text': upload.url, 'more': ['plain', {'deep': upload.url}]}}
    assert at_work.preloaded(data, data['data']) == {'text': 'a fine day', 'more': ['plain', {'deep': 'a fine day'}]}
    # The same over the API, as classes do that resolve addresses by hand.
    assert requests.get(f'http://localhost:8080{upload.url}', timeout=5).content == b'a fine day'


def test_files_of_the_machine_are_not_read(at_work, texts):
    from label_studio.ml_host.task_data.resolver import plugin_task
    from ml_plugins import TaskDataError

    task = Task.objects.create(project=texts, data={'text': '/etc/passwd'})
    at_work.working_on([plugin_task(task)])
    assert at_work.preloaded({'id': task.pk}, '/etc/passwd') == '/etc/passwd'
    with pytest.raises(TaskDataError, match='/etc/passwd'):
        at_work.local_path('/etc/passwd')


def test_the_server_is_the_host(db):
    assert isinstance(host.current, ServerHost)
