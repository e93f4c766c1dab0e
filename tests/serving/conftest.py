"""A project with a backend that looks at pictures, and somebody who asks it."""

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from label_studio.ml_host.enabling.services import enable
from tests.serving.brightness import Brightness


@pytest.fixture
def bright(inline_plugins, project, owner):
    inline_plugins('bright', Brightness)
    enable(project, 'bright', owner)
    return project


@pytest.fixture
def caller(owner):
    """Somebody with a token, as upstream's command line makes one."""
    owner.active_organization.jwt.legacy_api_tokens_enabled = True
    owner.active_organization.jwt.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f'Token {Token.objects.get(user=owner).key}')
    return client
