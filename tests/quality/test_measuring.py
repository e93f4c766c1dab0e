"""A version that was trained elsewhere is measured by a worker, so that it can be compared before it serves."""

import json

import pytest

from label_studio.ml_host.models import Evaluation, ModelVersion
from label_studio.ml_host.quality import measuring
from label_studio.ml_host.quality.compare import compare
from label_studio.ml_host.versions.manifest import FILES, write_manifest

from .conftest import ScriptedBackend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def foreign(scripted, folders, project):
    """A version whose files came from elsewhere."""

    def make(right=0.5, mode='well'):
        folder = folders / 'version' / 'foreign'
        (folder / FILES).mkdir(parents=True)
        (folder / FILES / 'script.json').write_text(json.dumps({'right': right, 'mode': mode}))
        digest, size = write_manifest(folder)
        return ModelVersion.objects.create(
            project=project, backend='scripted', number=9, directory='foreign', digest=digest, size=size
        )

    return make


def test_worker_measures_it_and_it_can_be_compared(foreign, label, train, version, work):
    label(60)
    train(1.0)
    uploaded = foreign(0.4)
    measuring.request(uploaded)
    work()
    uploaded.refresh_from_db()
    first = version(1)
    assert uploaded.scored_on == first.scored_on
    assert 0 <= uploaded.score_low < uploaded.score < first.score == 1.0
    found = compare(uploaded, first)
    assert found.tasks == first.scored_on
    assert found.second_score.value == 1.0
    assert uploaded.state == 'candidate'


@pytest.mark.parametrize('mode', ['setup', 'raises', 'unreadable'])
def test_version_that_cannot_answer_stays_unmeasured(foreign, label, work, queue, mode):
    label(30)
    uploaded = foreign(mode=mode)
    measuring.request(uploaded)
    work()
    uploaded.refresh_from_db()
    assert uploaded.score is None
    assert not Evaluation.objects.exists()
    assert queue.failed_job_registry.count == 0


def test_nothing_held_out_and_nothing_left(foreign, label, work, queue):
    label(3)
    uploaded = foreign()
    measuring.request(uploaded)
    work()
    measuring.request(uploaded)
    uploaded.delete()
    work()
    assert queue.failed_job_registry.count == 0
    assert ScriptedBackend.asked == []


def test_queue_that_is_away_costs_the_score_alone(foreign, monkeypatch, caplog):
    from redis.exceptions import ConnectionError as RedisAwayError

    def away():
        raise RedisAwayError('away')

    monkeypatch.setattr(measuring, 'training_queue', away)
    measuring.request(foreign())
    assert 'scripted-v9 is not measured on the held-out tasks: away' in caplog.text
