"""Plain URLs through a real web server on this machine."""

import base64
import gzip
import random
import threading
import time

import pytest

from label_studio.ml_host.task_data.resolver import HostTaskFiles, own_address
from label_studio.ml_host.task_data.urls import shown
from ml_plugins.exceptions import TaskDataError


@pytest.fixture
def files(task_settings):
    return HostTaskFiles(project=None)


def refusal(make, files, url: object) -> str:
    with pytest.raises(TaskDataError) as caught:
        make.task(url, files).bytes('image')
    assert caught.value.task_id == 7
    assert caught.value.field == 'image'
    return caught.value.reason


def test_content_is_fetched_once_and_kept_on_disk(make, files, site, task_settings):
    url = site.put('/cat.png', make.picture())
    assert make.task(url, files).image('image').size == (32, 24)
    path = make.task(url, files).path('image')
    assert path.is_relative_to(task_settings.ML_CACHE_DIR / 'files')
    assert path.suffix == '.png'
    assert path.read_bytes() == make.picture()
    assert site.asked == ['/cat.png']


def test_private_address_is_refused_with_protection_on(make, files, site, task_settings):
    task_settings.SSRF_PROTECTION_ENABLED = True
    url = site.put('/cat.png', make.picture())
    reason = refusal(make, files, url)
    assert reason == f'points to a private or reserved network address, which this server does not fetch: {url}'
    assert site.asked == []


def test_missing_page(make, files, site):
    url = site.url('/gone.png')
    assert refusal(make, files, f'{url}?signature=secret') == f'answers 404 for {url}'


def test_html_answer(make, files, site):
    url = site.put('/login', b'<!doctype html><html><body>Sign in</body></html>')
    with pytest.raises(TaskDataError, match='web page'):
        make.task(url, files).image('image')


def test_huge_png(make, files, site):
    url = site.put('/huge.png', make.huge_png())
    with pytest.raises(TaskDataError, match='20000x10000 pixels, 200 million'):
        make.task(url, files).image('image')


@pytest.mark.parametrize('headers', [{}, {'Transfer': 'unknown length'}])
def test_file_over_the_limit(make, files, site, task_settings, headers):
    task_settings.ML_MAX_FILE_BYTES = 1024 * 1024
    url = site.put('/big.bin', bytes(1024 * 1024 + 1), **headers)
    assert refusal(make, files, url) == 'is larger than 1 MiB, the limit for one file'
    assert not [path for path in (task_settings.ML_CACHE_DIR / 'files').rglob('*') if path.is_file()]


def test_redirects_are_followed(make, files, site):
    target = site.put('/real.png', make.picture())
    url = site.put('/short', b'', status=302, Location=target)
    assert make.task(url, files).bytes('image') == make.picture()


def test_redirect_to_a_banned_address(make, files, site, task_settings):
    task_settings.SSRF_PROTECTION_ENABLED = True
    task_settings.USE_DEFAULT_BANNED_SUBNETS = False
    task_settings.USER_ADDITIONAL_BANNED_SUBNETS = ['127.0.0.2/32']
    url = site.put('/short', b'', status=302, Location=f'http://127.0.0.2:{site.port}/secret')
    site.put('/secret', make.picture())
    assert refusal(make, files, url).startswith('points to a private or reserved network address')
    assert site.asked == ['/short']


def test_redirect_to_another_scheme(make, files, site):
    url = site.put('/short', b'', status=302, Location='file:///etc/passwd')
    assert refusal(make, files, url).startswith('is or redirects to an address that is not http or https')


def test_redirect_loop(make, files, site):
    url = site.put('/loop', b'', status=302, Location=site.url('/loop'))
    assert refusal(make, files, url).startswith('redirects too often')


def test_nobody_listens(make, files, site):
    site.server.shutdown()
    site.server.server_close()
    assert refusal(make, files, site.url('/x')) == f'cannot be reached: {site.url("/x")}'


def test_unknown_host(make, files):
    reason = refusal(make, files, 'http://user:secret@no-such-host.invalid/x.png?token=secret')
    assert reason == 'names a host that cannot be found: http://no-such-host.invalid/x.png'


def test_silent_server(make, files, site, task_settings):
    task_settings.ML_FETCH_TIMEOUT = 0.5
    site.gate = threading.Event()
    start = time.monotonic()
    assert refusal(make, files, site.url('/x')).startswith('gave no answer within 0.5 s')
    assert time.monotonic() - start < 3
    site.gate.set()


def test_dripping_server(make, files, site, task_settings):
    task_settings.ML_FETCH_TIMEOUT = 0.5

    def drip(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(50):
            handler.wfile.write(b'x')
            time.sleep(0.1)

    start = time.monotonic()
    assert refusal(make, files, site.put('/drip', drip)).startswith('took longer than 0.5 s')
    assert time.monotonic() - start < 2


def test_transfer_that_breaks_off(make, files, site):
    def half(handler) -> None:
        handler.send_response(200)
        handler.send_header('Content-Length', '1000')
        handler.end_headers()
        handler.wfile.write(bytes(500))

    url = site.put('/half.png', half)
    assert refusal(make, files, url) == f'broke off during the transfer: {url}'


def test_compressed_and_chunked_answers(make, files, site, task_settings):
    content = random.Random(0).randbytes(300_000)

    def chunked(handler) -> None:
        handler.protocol_version = 'HTTP/1.1'
        handler.send_response(200)
        handler.send_header('Transfer-Encoding', 'chunked')
        handler.send_header('Content-Encoding', 'gzip')
        handler.end_headers()
        body = gzip.compress(content)
        for start in range(0, len(body), 7000):
            part = body[start : start + 7000]
            handler.wfile.write(f'{len(part):x}\r\n'.encode() + part + b'\r\n')
        handler.wfile.write(b'0\r\n\r\n')

    assert make.task(site.put('/chunked', chunked), files).bytes('image') == content
    task_settings.ML_MAX_FILE_BYTES = 1024 * 1024
    bomb = site.put('/bomb', gzip.compress(bytes(20 * 1024 * 1024)), **{'Content-Encoding': 'gzip'})
    assert refusal(make, files, bomb) == 'is larger than 1 MiB, the limit for one file'


def test_invalid_addresses(make, files):
    assert refusal(make, files, 'http://') == 'is not a valid URL'
    assert refusal(make, files, 'http://[broken/x') == 'is not a valid URL'
    assert (
        refusal(make, files, 'ftp://host/x.png?k=1') == 'has an address of a kind that is not served: ftp://host/x.png'
    )
    assert refusal(make, files, '/etc/passwd') == 'has an address of a kind that is not served: /etc/passwd'
    assert refusal(make, files, 'cat.png') == 'holds text, not the address of a file'
    assert refusal(make, files, ['a.png']) == 'holds a list, not the address of one file'
    assert refusal(make, files, '').startswith('is missing')


def test_data_address(make, files):
    value = 'data:image/png;base64,' + base64.b64encode(make.picture()).decode()
    assert make.task(value, files).image('image').size == (32, 24)
    assert make.task(value, files).path('image').suffix == '.png'
    assert refusal(make, files, 'data:image/png;base64,@@@').endswith('damaged base64 content')
    assert refusal(make, files, 'data:,text').endswith('without base64 content')


def test_full_disk_does_not_stop_reading(make, files, site, task_settings, tmp_path):
    (tmp_path / 'file').touch()
    task_settings.ML_CACHE_DIR = tmp_path / 'file'
    url = site.put('/cat.png', make.picture())
    assert make.task(url, files).bytes('image') == make.picture()
    with pytest.raises(TaskDataError, match='cannot be read: Not a directory'):
        make.task(url, files).path('image')


def test_many_tasks_one_fetch(make, files, site):
    url = site.put('/cat.png', make.picture())
    read = []
    threads = [threading.Thread(target=lambda: read.append(make.task(url, files).bytes('image'))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [make.picture()] * 8
    assert site.asked == ['/cat.png']


def test_shown_url_has_no_secrets():
    assert shown('https://user:pw@host:8443/a/b.png?X-Amz-Signature=abc#f') == 'https://host:8443/a/b.png'


def test_own_address(settings):
    settings.HOSTNAME = 'https://labels.example.org/ls'
    settings.FORCE_SCRIPT_NAME = '/ls'
    for prefix in ('https://labels.example.org/ls', '/ls', ''):
        assert own_address(f'{prefix}/data/upload/1/a.png') == '/data/upload/1/a.png'
        assert own_address(f'{prefix}/data/local-files/?d=x') == '/data/local-files/?d=x'
    assert own_address('upload/1/a.png') == '/data/upload/1/a.png'
    assert own_address('https://labels.example.org.evil.org/ls/data/upload/1/a.png') == ''
    assert own_address('https://other.org/data/upload/1/a.png') == ''
