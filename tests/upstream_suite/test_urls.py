"""What upstream's own test of its URLs cannot say here: all of them are there, and few are answered otherwise."""

import json
from io import StringIO
from pathlib import Path

import core
import pytest
from django.core.management import call_command

ANSWERED_BY_THE_FORK = {
    # The pages' live tips come from the internet; the fork answers without asking there.
    '/heidi-tips/',
    # Written the same in the list; ours answers only below the names of our own static folders.
    '/static/<path>',
}


@pytest.fixture(scope='module')
def listed() -> list[dict[str, str]]:
    """Upstream's own list."""
    return json.loads((Path(core.__path__[0]) / 'all_urls.json').read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def registered() -> list[dict[str, str]]:
    out = StringIO()
    call_command('show_urls', format='json', stdout=out)
    return json.loads(out.getvalue())


def test_every_url_of_upstream_is_registered_with_its_view_and_name(listed, registered):
    def rows(urls):
        return {(row['url'], row['module'], row['name']) for row in urls}

    assert len(rows(listed)) > 200
    assert rows(listed) - rows(registered) == set()


def test_no_other_url_of_upstream_is_answered_by_the_fork(listed, registered):
    ours = {row['url'] for row in registered if row['module'].startswith('label_studio.ml_host.')}
    assert ours & {row['url'] for row in listed} == ANSWERED_BY_THE_FORK
