"""Download and upload: the same version comes out, and nothing else gets in."""

import json

import numpy as np
import pytest
from django.core.files.base import ContentFile

from label_studio.ml_host.models import BackendEvent, ModelVersion
from label_studio.ml_host.versions import package, service
from label_studio.ml_host.versions.errors import UploadError, UploadTooLargeError, VersionStateError
from label_studio.ml_host.versions.files import version_files
from label_studio.ml_host.versions.uploading import upload
from ml_plugins.exceptions import ModelVersionError
from ml_plugins.runtime import fence
from tests.versions.loading import ReadingBackend
from tests.versions.packing import PICKLE, SAFETENSORS, array, arrays, packed, unzipped, zipped

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reading(counting, inline_plugins, monkeypatch):
    """The backend under test is one that reads files, here and in the process that tries them."""
    inline_plugins('counting', ReadingBackend)
    monkeypatch.setattr(fence, 'bootstrap', 'tests.versions.loading:setup')
    return counting


@pytest.fixture
def version(reading, publish):
    return publish()


def downloaded(version) -> bytes:
    return b''.join(package.download(version).content)


def nothing_happened(folders) -> bool:
    return ModelVersion.objects.count() == 1 and not list((folders / 'work').iterdir())


def test_what_was_downloaded_is_taken(version, project, owner, folders):
    content = downloaded(version)
    assert content == downloaded(version)
    taken = upload(project, 'counting', ContentFile(content), owner)
    assert (taken.number, taken.state, taken.trigger, taken.digest) == (2, 'candidate', 'uploaded', version.digest)
    assert (taken.metrics, taken.trained_on, taken.size) == (version.metrics, 3, version.size)
    assert taken.reason == f'Uploaded by {owner}; it was version 1 where it was trained.'
    assert (version_files(taken).path / 'deep' / 'weights.txt').read_text() == 'abc'
    event = BackendEvent.objects.get(action='uploaded')
    assert (event.user, event.detail) == (owner, {'version': 2})
    assert not list((folders / 'work').iterdir())
    service.put_in_service(taken)
    assert downloaded(taken) != content, 'it says another number'


def test_a_damaged_version_is_not_sent(version):
    (version_files(version).path / 'config.json').write_text('{}')
    with pytest.raises(ModelVersionError, match=r'its file config\.json was changed'):
        package.download(version)


def test_it_goes_to_its_own_backend_only(version, project, inline_plugins, folders):
    from label_studio.ml_host.models import ProjectBackend

    inline_plugins('other', ReadingBackend)
    with pytest.raises(VersionStateError, match='"other" is not enabled on project'):
        upload(project, 'other', ContentFile(downloaded(version)))
    ProjectBackend.objects.create(project=project, backend='other', enabled=True)
    with pytest.raises(UploadError, match='is of ML backend "counting" and cannot be one of "other"'):
        upload(project, 'other', ContentFile(downloaded(version)))
    assert nothing_happened(folders)


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('manifest.json', r'manifest\.json does not have the checksum that version\.json says'),
        ('files/config.json', r'files/config\.json does not have the checksum that manifest\.json says'),
    ],
)
def test_a_wrong_checksum_is_named(version, project, folders, name, reason):
    members = unzipped(downloaded(version))
    members[name] = members[name].replace(b'3', b'4')
    with pytest.raises(UploadError, match=reason):
        upload(project, 'counting', zipped(members))
    assert nothing_happened(folders)


def test_formats_of_plain_data_are_taken_and_what_the_plugin_names(version, project):
    about = json.loads(unzipped(downloaded(version))['version.json'])
    files = {
        'config.json': b'{"size": 3}',
        'deep/weights.txt': b'abc',
        'deep/weights.bin': PICKLE,
        'head.safetensors': SAFETENSORS,
        'mean.npy': array(np.zeros(3)),
        'more.npz': arrays(a=np.zeros(3), b=np.array(['text'])),
    }
    assert upload(project, 'counting', packed(files, about)).number == 2


@pytest.mark.parametrize(
    ('files', 'reason'),
    [
        ({'deep/weights.txt': b'abc'}, 'cannot be loaded here: FileNotFoundError'),
        ({'config.json': b'{"size": 3}', 'deep/weights.txt': b'crash'}, 'cannot be loaded here: .*SIGSEGV'),
    ],
)
def test_a_version_that_does_not_load_is_refused_and_the_server_lives(version, project, folders, files, reason):
    about = json.loads(unzipped(downloaded(version))['version.json'])
    with pytest.raises(UploadError, match=reason):
        upload(project, 'counting', packed(files, about))
    assert nothing_happened(folders)


def test_labels_that_the_project_does_not_have_are_named(version, project, folders):
    content = downloaded(version)
    about = json.loads(unzipped(content)['version.json'])
    project.label_config = project.label_config.replace('"dog"', '"bird"')
    project.save()
    with pytest.raises(UploadError, match='answers "dog" in <Choices name="choice">, which the label config of'):
        upload(project, 'counting', ContentFile(content))
    project.label_config = about['label_config'].replace('name="choice"', 'name="animal"')
    project.save()
    with pytest.raises(UploadError, match='answers <Choices name="choice">, which the label config of project "Pets"'):
        upload(project, 'counting', ContentFile(content))
    assert nothing_happened(folders)


def test_too_much_is_refused_and_nothing_stays(version, project, folders, settings):
    settings.ML_VERSION_UPLOAD_BYTES = 100_000
    with pytest.raises(UploadTooLargeError, match='The file has 200000 bytes, more than the 100000'):
        upload(project, 'counting', ContentFile(b'0' * 200_000))
    with pytest.raises(UploadError, match=r'^files/model\.pkl may run code while it is loaded'):
        about = json.loads(unzipped(downloaded(version))['version.json'])
        upload(project, 'counting', packed({'model.pkl': PICKLE}, about))
    assert nothing_happened(folders)
