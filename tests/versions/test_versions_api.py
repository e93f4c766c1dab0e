"""The REST endpoints of versions."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from label_studio.ml_host.models import ModelVersion
from label_studio.ml_host.quality.examination import Examination, Score
from ml_plugins.runtime import fence
from tests.versions.loading import ReadingBackend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address(project, counting, inline_plugins, monkeypatch):
    inline_plugins('counting', ReadingBackend)
    monkeypatch.setattr(fence, 'bootstrap', 'tests.versions.loading:setup')
    return f'/api/projects/{project.pk}/ml-backends/counting/versions/'


def test_what_the_list_says(api, address, publish):
    publish()
    score = Score(0.8, 0.7, 0.9, 40)
    publish(examination=Examination(serve=False, reason='0.80 against 0.91', score=score))
    second, first = api.get(address).json()
    assert (first['state'], first['in_service'], first['score'], first['interval']) == ('in_service', True, None, None)
    assert (second['state'], second['in_service'], second['reason']) == ('candidate', False, '0.80 against 0.91')
    assert (second['score'], second['interval'], second['scored_on']) == (0.8, [0.7, 0.9], 40)
    assert (second['live'], second['size'], second['trigger']) == ({'count': 0, 'agreement': None}, 14, '')
    assert api.get(f'{address}2/').json() == second
    assert api.get(f'{address}3/').status_code == 404


def test_archive_put_in_service_and_delete(api, address, publish, counting):
    publish()
    publish()
    assert api.post(f'{address}1/archive/').json()['state'] == 'archived'
    refused = api.post(f'{address}1/put-in-service/')
    assert (refused.status_code, refused.json()['code']) == (409, 'version_state')
    assert 'take it out of the archive first' in refused.json()['detail']
    assert api.post(f'{address}1/unarchive/').json()['state'] == 'candidate'
    assert api.post(f'{address}1/put-in-service/').json()['state'] == 'in_service'
    refused = api.delete(f'{address}1/')
    assert (refused.status_code, refused.json()['code']) == (409, 'version_state')
    assert api.delete(f'{address}2/').status_code == 204
    assert [item['number'] for item in api.get(address).json()] == [1]


def test_down_and_up(api, address, publish, settings):
    publish()
    answer = api.get(f'{address}1/download/')
    assert (answer['Content-Type'], answer['Content-Disposition']) == (
        'application/zip',
        'attachment; filename="counting-v1.zip"',
    )
    content = b''.join(answer.streaming_content)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    taken = api.post(address, {'file': SimpleUploadedFile('v.zip', content)}, format='multipart')
    assert (taken.status_code, taken.json()['number'], taken.json()['state']) == (201, 2, 'candidate'), taken.content
    assert taken.json()['trigger'] == 'uploaded'

    refused = api.post(address, {'file': SimpleUploadedFile('v.zip', content[:-10])}, format='multipart')
    assert (refused.status_code, refused.json()['code']) == (400, 'bad_upload')
    settings.ML_VERSION_UPLOAD_BYTES = 10
    refused = api.post(address, {'file': SimpleUploadedFile('v.zip', content)}, format='multipart')
    assert (refused.status_code, refused.json()['code']) == (413, 'upload_too_large')
    assert 'file' in api.post(address, {}, format='multipart').json()['validation_errors']
    assert ModelVersion.objects.count() == 2


def test_strangers_see_nothing(address, publish):
    from rest_framework.test import APIClient

    from label_studio.ml_host.upstream import Organization, User

    publish()
    stranger = User.objects.create_user(email='stranger@example.org', password='secret-pass')
    stranger.active_organization = Organization.create_organization(created_by=stranger, title='Other')
    stranger.save()
    client = APIClient()
    assert client.get(f'{address}1/download/').status_code == 401
    client.force_authenticate(stranger)
    for method, path in (('get', '1/download/'), ('delete', '1/'), ('post', '1/archive/'), ('get', '')):
        assert getattr(client, method)(f'{address}{path}').status_code == 404
