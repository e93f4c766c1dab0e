"""HTTP backends on this machine: connected with their webhook where they are allowed, and only there."""

import pytest

from label_studio.ml_host.http_backends import delivery
from label_studio.ml_host.upstream import SsrfBlockedUrlError, UpstreamMLBackend, Webhook
from tests.serving.fakes import local_site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _protected(settings):
    settings.SSRF_PROTECTION_ENABLED = True


@pytest.fixture
def site():
    with local_site() as found:
        yield found


def deliver(url: str):
    from label_studio.ml_host.upstream import run_webhook_sync

    answer = run_webhook_sync(Webhook(id=1, url=url, send_payload=True, headers={}), 'ANNOTATION_CREATED', {'id': 7})
    delivery.join()
    return answer


def test_an_allowed_backend_is_connected_and_hears_of_annotations(project, settings, site):
    settings.ML_BLOCK_LOCAL_IP = False
    UpstreamMLBackend.objects.create(project=project, url=site.url, title='mine')
    webhook = Webhook.objects.get()
    assert webhook.url == f'{site.url}/webhook'
    # It is sent by another thread: whoever submits an annotation does not wait.
    assert deliver(webhook.url) is None
    assert site.asked == [('/webhook', {'action': 'ANNOTATION_CREATED', 'id': 7})]


def test_an_address_that_a_setting_names_is_allowed_and_no_other(project, settings, site):
    settings.ML_BLOCK_LOCAL_IP = True
    settings.ML_ALLOWED_BACKEND_URLS = [site.url]
    connected = UpstreamMLBackend.objects.create(project=project, url=f'{site.url}/mine', title='mine')
    webhook = Webhook.objects.get()
    deliver(webhook.url)
    assert site.asked == [('/mine/webhook', {'action': 'ANNOTATION_CREATED', 'id': 7})]
    assert connected.api._request('predict', {}).status_code == 200
    # The name is another one, though the address is the same.
    for url in (site.url.replace('localhost', '127.0.0.1'), 'http://localhost:1'):
        other = UpstreamMLBackend(project=project, url=url, title='other')
        assert 'reserved network address' in other.healthcheck().error_message
    assert len(site.asked) == 2


def test_elsewhere_upstreams_rules_stay(project, settings, site):
    settings.ML_BLOCK_LOCAL_IP = True
    with pytest.raises(SsrfBlockedUrlError):
        UpstreamMLBackend.objects.create(project=project, url=site.url, title='mine')
    UpstreamMLBackend.objects.all().delete()
    settings.ML_BLOCK_LOCAL_IP = False
    # No connected backend has this address.
    assert deliver(f'{site.url}/webhook') is None
    assert deliver(f'{site.url}/other') is None
    assert site.asked == []


def test_a_webhook_at_a_private_address_is_refused_as_ever(project, api, settings, site):
    settings.ML_BLOCK_LOCAL_IP = False
    response = api.post('/api/webhooks/', {'url': f'{site.url}/webhook', 'project': project.pk}, format='json')
    assert response.status_code >= 400
    assert not Webhook.objects.exists()
