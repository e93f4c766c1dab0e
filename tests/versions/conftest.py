"""The trainings of tests/training, and versions made from them."""

import pytest

from tests.training.conftest import ask, counting, folders, label, queue, redis_socket, work  # noqa: F401


@pytest.fixture
def run(ask, queue):  # noqa: F811
    """A running run."""
    from label_studio.ml_host.training import lifecycle

    return lifecycle.claim(ask().pk)


@pytest.fixture
def left(tmp_path):
    """What a fit might leave, with a name that the manifest has too."""
    folder = tmp_path / 'left'
    (folder / 'deep').mkdir(parents=True)
    (folder / 'manifest.json').write_text('{"mine": 1}')
    (folder / 'deep' / 'weights.txt').write_bytes(b'abc')
    return folder


@pytest.fixture
def publish(ask, queue, counting, tmp_path):  # noqa: F811
    """Publishes one version after the other; returns it."""
    from label_studio.ml_host.training import lifecycle
    from label_studio.ml_host.versions.publishing import publish

    def make(content='abc', **options):
        # Asking saves the row as the test knows it.
        counting.refresh_from_db()
        run = lifecycle.claim(ask().pk)
        folder = tmp_path / f'left-{run.pk}'
        (folder / 'deep').mkdir(parents=True)
        (folder / 'deep' / 'weights.txt').write_text(content)
        (folder / 'config.json').write_text('{"size": 3}')
        return publish(run, folder, {'accuracy': 0.5}, 3, **options)

    return make
