"""Nothing leaves the server by itself."""

import socket

import pytest
from django.conf import settings


def test_reporting_is_off():
    assert settings.SENTRY_DSN is None
    assert settings.FRONTEND_SENTRY_DSN is None
    assert settings.COLLECT_ANALYTICS is False
    assert settings.LATEST_VERSION_CHECK is False


@pytest.mark.django_db
def test_the_tips_on_each_page_open_no_connection(client, monkeypatch, caplog):
    def refuse(self, address):
        raise AssertionError(f'a connection to {address} was tried')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    assert client.get('/heidi-tips/').json() == {}
    # On a terminal, two warnings for each page that anybody opens.
    assert not caplog.records
