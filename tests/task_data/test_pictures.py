"""From bytes to a picture: what cannot be shown to a model is named, and nothing huge is ever decoded."""

import io
import threading
import warnings

import pytest
from PIL import Image

from ml_plugins import Task, task_data
from ml_plugins.exceptions import TaskDataError


class Bytes:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, task, key) -> bytes:
        return self.content


def image_of(content: bytes) -> Image.Image:
    return Task(7, {'image': 'http://example.org/x'}, files=Bytes(content)).image('image')


def refusal(content: bytes) -> str:
    with pytest.raises(TaskDataError) as caught:
        image_of(content)
    return caught.value.reason


def test_picture_is_rgb_and_upright():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('L', (30, 10)).save(buffer, 'JPEG', exif=exif)
    image = image_of(buffer.getvalue())
    assert image.mode == 'RGB'
    assert image.size == (10, 30)


def test_two_hundred_megapixels_are_named_and_not_decoded(make, monkeypatch):
    monkeypatch.setattr('PIL.ImageFile.ImageFile.load', lambda self: pytest.fail('decoded'))
    before = Image.MAX_IMAGE_PIXELS
    assert refusal(make.huge_png()) == 'has 20000x10000 pixels, 200 million; the limit is 100 million'
    assert before == Image.MAX_IMAGE_PIXELS


def test_limit_between_pillows_warning_and_its_error(make):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert refusal(make.huge_png(12000, 10000)) == 'has 12000x10000 pixels, 120 million; the limit is 100 million'


def test_limit_is_the_hosts(make, monkeypatch):
    monkeypatch.setattr(task_data, 'max_image_pixels', 500)
    assert refusal(make.picture(size=(32, 24))) == 'has 32x24 pixels, 0.000768 million; the limit is 0.0005 million'


def test_limit_above_pillows_own_is_honoured(make, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert image_of(make.picture(size=(32, 24))).size == (32, 24)


@pytest.mark.parametrize('content', [b'<!DOCTYPE html><html></html>', b'\n <html><body>Sign in</body></html>'])
def test_web_page_is_named(content):
    assert refusal(content) == 'is not a picture that can be read: it is a web page (HTML)'


def test_other_contents_are_named():
    assert 'SVG' in refusal(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>')
    assert 'XML' in refusal(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')
    assert refusal(b'').startswith('is empty')
    assert refusal(b'\0' * 50) == 'is not a picture that can be read (50 bytes of another kind)'


def test_damaged_pictures(make):
    whole = make.picture(format='JPEG', size=(400, 400))
    assert refusal(whole[: len(whole) // 2]).startswith('is a damaged picture: ')
    assert refusal(whole[:20]).startswith('is a damaged picture: ')
    assert refusal(make.picture()[:20]).startswith('is a damaged picture: ')


def test_postscript_is_not_run():
    assert refusal(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n').startswith('is not a picture')


def test_limit_holds_in_many_threads(make):
    reasons = []
    content = make.huge_png()
    threads = [threading.Thread(target=lambda: reasons.append(refusal(content))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(reasons) == {'has 20000x10000 pixels, 200 million; the limit is 100 million'}


@pytest.mark.parametrize(
    'value',
    [
        'data:image/png;base64,AAAA',
        '/sub/data/upload/1/a.png',
        'upload/1/a.png',
        '/storage-data/uploaded/?filepath=x',
        'https://example.org/a',
        's3://b/a',
        '/data/local-files/?d=a',
    ],
)
def test_references(value):
    assert task_data.is_reference(value)


@pytest.mark.parametrize('value', ['data: 5 rows', 'upload/download speeds', 'a http://x', '/dev/null is a file'])
def test_texts_are_no_references(value):
    assert not task_data.is_reference(value)
    assert Task(7, {'image': value}).text('image') == value


def test_host_sets_the_limit():
    from django.apps import apps
    from django.conf import settings

    assert apps.ready
    assert task_data.max_image_pixels == settings.ML_MAX_IMAGE_PIXELS
