"""A browser that is signed in, and a plugin that learns."""

import time

import pytest
from django.conf import settings
from django.test import Client

from label_studio.ml_host.api import state
from ml_plugins.params import Param
from tests.inline_plugins import ConstantBackend


class LearningBackend(ConstantBackend):
    params = (
        Param('epochs', 5, 'How often the data is seen.', minimum=1, maximum=50),
        Param('augment', True, 'Flip pictures.'),
    )

    def fit(self, dataset, run):
        return {'accuracy': 1.0}


@pytest.fixture
def learner(inline_plugins):
    yield inline_plugins('learner', LearningBackend)
    state._reported.clear()


@pytest.fixture
def sign_in():
    """A browser in which the user has signed in just now, which upstream's session policy asks for."""

    def _sign_in(user) -> Client:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        session = client.session
        session['last_login'] = time.time()
        session.save()
        # Upstream keeps the session in the cookie itself.
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        return client

    return _sign_in


@pytest.fixture
def browser(owner, sign_in):
    return sign_in(owner)


@pytest.fixture
def press(browser, project):
    """Press a button of the page, as htmx does."""

    def _press(path: str, data=None, **headers):
        page = browser.get(f'/projects/{project.pk}/ml-backends/')
        token = page.context['csrf_token']
        headers = {'HX-Request': 'true', 'X-CSRFToken': str(token), **headers}
        return browser.post(f'/projects/{project.pk}/ml-backends/{path}', data or {}, headers=headers)

    return _press
