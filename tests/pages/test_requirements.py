"""What a plugin needs and has not is said with the command that brings it."""

import numpy
import pytest
from django.urls import reverse

from ml_plugins.config import MLBackendConfig
from ml_plugins.discovery import Candidate
from ml_plugins.exceptions import RequirementMissingError
from ml_plugins.registry import Plugin, registry
from ml_plugins.requirements import missing_packages


class NeedyConfig(MLBackendConfig):
    name = 'ml_plugins.contrib.image_classifier'
    verbose_name = 'Needy'
    requires = ('nobody-has-this>=2',)
    extra = 'all'


@pytest.fixture
def needy():
    plugin = Plugin(Candidate('needy', '', 'my-package', '1.0'), NeedyConfig, NeedyConfig.missing('my-package'))
    registry._plugins['needy'] = plugin
    yield plugin
    del registry._plugins['needy']


def test_nothing_is_missing():
    assert missing_packages(()) == ''
    assert missing_packages(('numpy', 'numpy>=1', 'nobody-has-this; python_version < "3"')) == ''


def test_a_package_that_is_not_installed():
    assert missing_packages(('nobody-has-this', 'numpy')) == (
        'nobody-has-this is not installed: pip install nobody-has-this'
    )


def test_a_package_that_is_too_old():
    said = missing_packages(('numpy>=1000',), 'my-package[all]')
    assert said == f"numpy {numpy.__version__} is installed, and it needs >=1000: pip install 'my-package[all]'"


def test_an_incomplete_plugin_is_not_used(needy):
    assert not needy.is_usable and needy.is_waiting
    with pytest.raises(RequirementMissingError, match=r"pip install 'my-package\[all\]'"):
        needy.backend_class()


def test_the_page_and_the_api_say_what_to_do(needy, project, browser, api):
    page = browser.get(reverse('ml_host:page', args=[project.pk])).content.decode()
    card = page.partition('data-backend="needy"')[2].partition('</section>')[0]
    assert 'Incomplete' in card and 'pip install &#x27;my-package[all]&#x27;' in card
    assert 'Traceback' not in card and 'role="switch"' not in card
    answer = api.patch(f'/api/projects/{project.pk}/ml-backends/needy/', {'enabled': True}, format='json')
    assert answer.status_code == 503 and 'my-package[all]' in answer.content.decode()
