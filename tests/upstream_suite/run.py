"""Run upstream's own test suite, as it lies in the release, under the fork's settings.

    python tests/upstream_suite/run.py [pytest arguments]

The suite needs an old pytest, so it gets a virtual environment of its own: the one that UPSTREAM_SUITE_VENV names, else
one made in the folder that LABEL_STUDIO_TEST_CACHE names. What fails is compared with expected.txt beside this file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UPSTREAM = ROOT / 'label_studio' / '_upstream' / 'label_studio'
SETTINGS = 'label_studio.ml_host.settings'
# Requirements of the fork that no test of upstream needs, and that are large.
HEAVY = ('torch', 'torchvision', 'efficientnet')


@dataclass
class Outcome:
    """Counts by outcome, and the tests that failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)


def suite_python() -> Path:
    """Python of the suite's environment, made when it is missing."""
    cache = Path(os.environ.get('LABEL_STUDIO_TEST_CACHE', Path(tempfile.gettempdir()) / 'label-studio-test-cache'))
    folder = Path(os.environ.get('UPSTREAM_SUITE_VENV', cache / 'upstream-suite'))
    python = folder / 'bin' / 'python'
    complete = folder / 'complete'
    if not complete.exists() and 'UPSTREAM_SUITE_VENV' not in os.environ:
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
        subprocess.run([*pip, *light_requirements(), '-r', str(HERE / 'requirements.txt')], check=True)
        subprocess.run([*pip, '--no-deps', '--editable', str(ROOT)], check=True)
        complete.touch()
    return python


def light_requirements() -> list[str]:
    """What the installed fork requires, the large things left out."""
    from importlib.metadata import requires

    return [item for item in requires('label-studio') or [] if not item.startswith(HEAVY) and 'extra ==' not in item]


def run_suite(python: Path, arguments: list[str], settings: str, processes: str) -> Outcome:
    """Run pytest from upstream's folder and read its report."""
    with tempfile.TemporaryDirectory(prefix='upstream-suite-') as name:
        folder = Path(name)
        report = folder / 'report.xml'
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(('LABEL_STUDIO_', 'DJANGO_'))
        }
        environment |= {
            'DJANGO_SETTINGS_MODULE': settings,
            'LABEL_STUDIO_BASE_DATA_DIR': str(folder),
            # Read by marks of the suite.
            'DJANGO_DB': 'sqlite',
            'PYTHONPATH': str(HERE),
            # Nothing is written beside upstream's files, nor into its version_.py.
            'PYTHONDONTWRITEBYTECODE': '1',
            'GIT_CEILING_DIRECTORIES': str(UPSTREAM.parent),
        }
        command = [str(python), '-m', 'pytest', '-p', 'no:cacheprovider', '-p', 'preload', '-q', '-n', processes]
        subprocess.run(
            [*command, '-rfE', '--tb=short', f'--junitxml={report}', *arguments], cwd=UPSTREAM, env=environment
        )
        if not report.exists():
            raise SystemExit('The suite ended without a report.')
        return read_report(report)


def read_report(report: Path) -> Outcome:
    """Outcomes of a JUnit report. A test that fails and also errors while it is cleared up counts once."""
    outcome = Outcome()
    seen: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        kinds = {child.tag for child in case}
        state = 'failed' if kinds & {'failure', 'error'} else 'skipped' if 'skipped' in kinds else 'passed'
        if seen.get(name) != 'failed':
            seen[name] = state
    outcome.counts.update(seen.values())
    outcome.failed = {name for name, state in seen.items() if state == 'failed'}
    return outcome


def expected_failures() -> dict[str, str]:
    """Tests that must differ, with the reason: ``name | reason`` in expected.txt."""
    lines = (HERE / 'expected.txt').read_text(encoding='utf-8').splitlines()
    pairs = [line.rpartition(' | ') for line in lines if line.strip() and not line.startswith('#')]
    return {name.strip(): reason.strip() for name, _, reason in pairs}


def main() -> int:
    """Run, compare, report; 0 when exactly what is expected failed, or less."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--settings', default=SETTINGS, help='Settings module; core.settings.label_studio to compare.')
    parser.add_argument('-n', '--processes', default='2')
    options, arguments = parser.parse_known_args()
    outcome = run_suite(suite_python(), arguments, options.settings, options.processes)
    expected = expected_failures()
    unexpected = sorted(outcome.failed - set(expected))
    counts = ', '.join(f'{number} {state}' for state, number in sorted(outcome.counts.items()))
    print(f'\nUpstream suite: {counts}; {len(unexpected)} unexpected')
    for name in sorted(outcome.failed & set(expected)):
        print(f'  expected: {name} ({expected[name]})')
    for name in unexpected:
        print(f'  UNEXPECTED: {name}')
    return 1 if unexpected or not outcome.counts['passed'] else 0


if __name__ == '__main__':
    sys.exit(main())
