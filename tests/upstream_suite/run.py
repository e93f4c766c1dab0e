"""Run upstream's own test suite, as it lies in the release, under the fork's settings.

    python -m tests.upstream_suite.run [--settings MODULE] [-n PROCESSES] [pytest arguments]

What fails is compared with expected.txt beside this file. Pytest arguments are meant for a part of the suite: with them
the counts are not judged.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.migrated import migrated_sqlite
from tests.upstream_suite.environment import suite_python
from tests.upstream_suite.outcome import Outcome, problems, read_expectation, read_report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UPSTREAM = ROOT / 'label_studio' / '_upstream' / 'label_studio'
SETTINGS = 'label_studio.ml_host.settings'
EXPECTED = HERE / 'expected.txt'
# What configures a server or another pytest must not reach the suite.
CONFIGURATION = ('LABEL_STUDIO_', 'DJANGO_', 'ML_', 'POSTGRE_', 'REDIS_', 'RQ_', 'SQLITE_', 'PYTEST_', 'COV_')


def run_suite(arguments: list[str], settings: str = SETTINGS, processes: str = '2') -> Outcome:
    """Run pytest from upstream's folder and read its report."""
    python = suite_python()
    with tempfile.TemporaryDirectory(prefix='upstream-suite-') as name:
        folder = Path(name)
        report = folder / 'report.xml'
        command = [str(python), '-m', 'pytest', '-p', 'no:cacheprovider', '-p', 'preload', '-q', '-n', processes]
        command += ['-rfE', '--tb=short', '--show-capture=no', f'--junitxml={report}', *arguments]
        configured = environment(folder, settings)
        if settings == SETTINGS:
            configured['UPSTREAM_SUITE_DATABASE'] = str(migrated_sqlite())
        done = subprocess.run(command, cwd=UPSTREAM, env=configured)
        # 0 and 1: it ran to its end. Else it was broken off, and a report, if there is one, tells half.
        if done.returncode not in (0, 1) or not report.exists():
            raise SystemExit(f'The suite was broken off: pytest ended with {done.returncode}.')
        return read_report(report)


def environment(folder: Path, settings: str) -> dict[str, str]:
    """Environment variables of the suite, with ``folder`` as its data directory."""
    inherited = {key: value for key, value in os.environ.items() if key != 'CI' and not key.startswith(CONFIGURATION)}
    return inherited | {
        'DJANGO_SETTINGS_MODULE': settings,
        'LABEL_STUDIO_BASE_DATA_DIR': str(folder),
        # Read by marks of the suite.
        'DJANGO_DB': 'sqlite',
        'PYTHONPATH': str(HERE / 'inside'),
        # Nothing is written beside upstream's files, nor into its version_.py.
        'PYTHONDONTWRITEBYTECODE': '1',
        'GIT_CEILING_DIRECTORIES': str(UPSTREAM.parent),
    }


def main() -> int:
    """Run, compare, report; 0 when nothing failed but what is expected to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--settings', default=SETTINGS, help='Settings module; core.settings.label_studio to compare.')
    parser.add_argument('-n', '--processes', default='2')
    options, arguments = parser.parse_known_args()
    outcome = run_suite(arguments, options.settings, options.processes)
    expectation = read_expectation(EXPECTED)
    found = list(problems(outcome, expectation, whole=not arguments))
    print(f'\nUpstream suite: {outcome}; {len(found)} problems')
    for name in sorted(outcome.failed & set(expectation.reasons)):
        print(f'  expected: {name} ({expectation.reasons[name]})')
    for line in found:
        print(f'  PROBLEM: {line}')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
