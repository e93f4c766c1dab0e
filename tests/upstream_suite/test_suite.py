"""Upstream's own tests pass under the fork's settings. Takes minutes; leave it out with ``-m 'not upstream_suite'``."""

import pytest

from tests.upstream_suite.outcome import problems, read_expectation
from tests.upstream_suite.run import EXPECTED, run_suite


@pytest.mark.slow
@pytest.mark.upstream_suite
def test_upstreams_own_suite_passes_under_our_settings(capfd):
    with capfd.disabled():
        outcome = run_suite([])
        print(f'Upstream suite: {outcome}')
    assert list(problems(outcome, read_expectation(EXPECTED))) == []
