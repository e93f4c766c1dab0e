"""An uploaded archive is not trusted: whatever is wrong with it is named, and nothing is written elsewhere."""

import io
import stat
import struct
import zipfile

import pytest
from django.core.files.base import ContentFile

from label_studio.ml_host.versions import archive as archives
from label_studio.ml_host.versions.errors import UploadError, UploadTooLargeError
from tests.versions.packing import packed, unzipped, zipped

GOOD = packed({'config.json': b'{}', 'deep/weights.txt': b'abc'}).read()


def read(folder, file):
    """Unpack an archive as an upload does."""
    with archives.opened(file, 100_000) as archive:
        archive.unpack(folder / 'files')
    return archive


def test_a_good_one_is_unpacked(tmp_path):
    assert read(tmp_path, ContentFile(GOOD)).names == ['config.json', 'deep/weights.txt']
    assert (tmp_path / 'files' / 'deep' / 'weights.txt').read_bytes() == b'abc'


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda members: members.pop('version.json'), r'has no version\.json, so it is not a model version'),
        (lambda members: members.pop('files/config.json'), r'files/config\.json is missing'),
        (lambda members: members.update({'files/more.json': b'{}'}), r'files/more\.json is not listed in manifest'),
        (lambda members: members.update({'../evil.json': b'{}'}), r'"\.\./evil\.json" in the archive is not a plain'),
        (lambda members: members.update({'/etc/evil': b''}), '"/etc/evil" in the archive is not a plain path'),
        (lambda members: members.update({'files/a\\..\\b': b''}), 'in the archive is not a plain path'),
        (lambda members: members.update({'files/a/../../b': b''}), 'in the archive is not a plain path'),
        (lambda members: members.update({'evil.py': b''}), r'"evil\.py" in the archive has no place there'),
        (lambda members: members.update({'version.json': b'[]'}), r'version\.json must hold a JSON object'),
        (lambda members: members.update({'version.json': b'{"format": 9}'}), r'format 9 is not known'),
        (lambda members: members.update({'version.json': b'{"format": 1}'}), r'"backend" is None, it must be a str'),
    ],
)
def test_what_does_not_belong_is_named(tmp_path, change, reason):
    members = unzipped(GOOD)
    change(members)
    with pytest.raises(UploadError, match=reason):
        read(tmp_path, zipped(members))


def test_a_link_is_refused(tmp_path):
    members = unzipped(GOOD)
    link = zipfile.ZipInfo('files/link.json')
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(link, '/etc/passwd')
    with pytest.raises(UploadError, match=r'"files/link\.json" in the archive is a link'):
        read(tmp_path, ContentFile(buffer.getvalue()))


def test_a_bomb_does_not_go_off(tmp_path):
    members = unzipped(GOOD) | {'files/zeros.txt': b'0' * 1_000_000}
    bomb = zipped(members, compression=zipfile.ZIP_DEFLATED)
    assert bomb.size < 10_000
    with pytest.raises(UploadTooLargeError, match='bytes unpacked, more than the 100000 of ML_VERSION_UPLOAD_BYTES'):
        read(tmp_path, bomb)


def test_a_file_that_is_longer_than_it_says_is_refused(tmp_path):
    content = bytearray(GOOD)
    # The size in the directory at the end, of the last file.
    entry = content.rindex(b'PK\x01\x02')
    assert struct.unpack_from('<I', content, entry + 24)[0] == 3
    struct.pack_into('<I', content, entry + 24, 2)
    with pytest.raises(UploadError, match=r'checksum|whole zip archive|longer than'):
        read(tmp_path, ContentFile(bytes(content)))


@pytest.mark.parametrize('content', [b'', b'no zip', b'PK\x03\x04 cut off'])
def test_what_is_no_archive_is_refused(tmp_path, content):
    with pytest.raises(UploadError, match='not a whole zip archive'):
        read(tmp_path, ContentFile(content))
