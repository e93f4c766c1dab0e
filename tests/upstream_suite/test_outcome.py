"""The runner's judgement: what it reads from a report, and what it takes for a problem."""

from pathlib import Path

import pytest

from tests.upstream_suite.outcome import Expectation, Outcome, problems, read_expectation, read_report
from tests.upstream_suite.run import EXPECTED, environment

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="tests.a" name="passes"/>
<testcase classname="tests.a" name="skips"><skipped message="why"/></testcase>
<testcase classname="tests.a" name="fails"><failure message="no"/></testcase>
<testcase classname="tests.a" name="fails"><error message="nor when it is cleared up"/></testcase>
<testcase classname="tests.a" name="cannot start"><error message="no"/></testcase>
</testsuite></testsuites>"""


def outcome_of(passed: int, *failed: str) -> Outcome:
    return Outcome({f'passes {number}': 'passed' for number in range(passed)} | dict.fromkeys(failed, 'failed'))


def test_a_report_is_read_by_test(tmp_path):
    (tmp_path / 'report.xml').write_text(REPORT)
    outcome = read_report(tmp_path / 'report.xml')
    assert outcome.failed == {'tests.a::fails', 'tests.a::cannot start'}
    assert str(outcome) == '1 passed, 1 skipped, 2 failed, 4 in all'


def test_what_is_expected_is_no_problem():
    assert list(problems(outcome_of(10, 'known'), Expectation({'known': 'Reason.'}, 10))) == []


def test_an_unexpected_failure_is_a_problem_in_a_part_of_the_suite_too():
    for whole in (True, False):
        found = list(problems(outcome_of(10, 'known', 'new'), Expectation({'known': 'Reason.'}, 10), whole))
        assert found == ['new failed, and expected.txt does not list it']


def test_a_suite_that_shrank_is_a_problem():
    found = list(problems(outcome_of(5), Expectation({}, 10)))
    assert found == ['only 5 tests passed; expected.txt says at least 10']
    assert list(problems(outcome_of(5), Expectation({}, 10), whole=False)) == []


def test_a_listed_test_that_is_gone_is_a_problem():
    found = list(problems(outcome_of(10), Expectation({'known': 'Reason.'}, 10)))
    assert found == ['known is listed in expected.txt, but the suite has no such test']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('tests.a::b | Reason.\n', 'the line "at least N passed" is missing'),
        ('at least 3 passed\ntests.a::b\n', "'tests.a::b' is neither"),
        ('at least 3 passed\ntests.a::b | \n', 'is neither'),
    ],
)
def test_a_list_that_cannot_be_read_says_why(tmp_path, text, message):
    path = tmp_path / 'expected.txt'
    path.write_text(text)
    with pytest.raises(SystemExit, match=message):
        read_expectation(path)


def test_our_list_gives_a_reason_for_each_test():
    expectation = read_expectation(EXPECTED)
    assert expectation.lowest > 1000
    assert all(reason.endswith('.') for reason in expectation.reasons.values())


def test_a_configured_server_does_not_reach_the_suite(monkeypatch):
    for name in ('LABEL_STUDIO_HOST', 'POSTGRE_HOST', 'REDIS_URL', 'PYTEST_ADDOPTS', 'ML_DEVICE', 'CI'):
        monkeypatch.setenv(name, 'x')
    monkeypatch.setenv('DJANGO_DB', 'default')
    given = environment(Path('/data'), 'our.settings')
    assert not {'LABEL_STUDIO_HOST', 'POSTGRE_HOST', 'REDIS_URL', 'PYTEST_ADDOPTS', 'ML_DEVICE', 'CI'} & given.keys()
    assert (given['DJANGO_DB'], given['LABEL_STUDIO_BASE_DATA_DIR']) == ('sqlite', '/data')
