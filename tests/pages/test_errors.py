"""A request that fails because the disk is full is answered with a sentence."""

import errno

import pytest
from django.core.handlers.exception import response_for_exception
from django.db import OperationalError


def answer(rf, path, error):
    try:
        raise error
    except type(error) as caught:
        return response_for_exception(rf.post(path), caught)


@pytest.mark.parametrize(
    'error', [OperationalError('database or disk is full'), OSError(errno.ENOSPC, 'No space left on device')]
)
def test_a_full_disk_is_said(rf, settings, error):
    page = answer(rf, '/projects/1/ml-backends/demo/train/', error)
    assert (page.status_code, page['Content-Type']) == (507, 'text/plain; charset=utf-8')
    assert page.content.decode().startswith('The disk of this server is full')
    assert str(settings.BASE_DATA_DIR) in page.content.decode()
    api = answer(rf, '/api/tasks/1/annotations/', error)
    assert (api.status_code, api['Content-Type']) == (507, 'application/json')
    assert b'Free some space' in api.content


def test_any_other_error_gets_the_usual_page(rf):
    page = answer(rf, '/projects/', OperationalError('database is locked'))
    assert page.status_code == 500
    assert b'disk' not in page.content
