"""How many training workers the server starts itself."""

import pytest

from label_studio.ml_host.launcher.services import worker_count


@pytest.mark.parametrize(
    ('environment', 'count'),
    [
        ({}, 1),
        ({'ML_WORKERS': '0'}, 0),
        ({'LABEL_STUDIO_ML_WORKERS': '3'}, 3),
        ({'LABEL_STUDIO_ML_WORKERS': '2', 'ML_WORKERS': '0'}, 2),
        ({'ML_WORKERS': '-1'}, 0),
        ({'ML_WORKERS': 'many'}, 1),
    ],
)
def test_the_variable_is_read_with_and_without_prefix(environment, count, monkeypatch, caplog):
    for name in ('ML_WORKERS', 'LABEL_STUDIO_ML_WORKERS'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert worker_count() == count
    assert ('many' in caplog.text) is ('many' in environment.values())
