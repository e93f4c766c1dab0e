"""A plugin that is installed and broken."""

import pytest

BROKEN = 'raise RuntimeError("written on a Friday")'


@pytest.fixture
def broken_plugin(tmp_path):
    """A folder for `PYTHONPATH` with an installed plugin that cannot be imported."""
    site = tmp_path / 'site'
    information = site / 'broken_plugin-1.0.dist-info'
    information.mkdir(parents=True)
    (site / 'broken_plugin.py').write_text(BROKEN)
    (information / 'METADATA').write_text('Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n')
    (information / 'entry_points.txt').write_text('[label_studio.ml_backends]\nbroken_plugin = broken_plugin:Config\n')
    return site
