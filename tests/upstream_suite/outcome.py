"""What a run of the suite gave, what it should have given, and how the two differ."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOWEST = re.compile(r'at least (\d+) passed')


@dataclass(frozen=True)
class Outcome:
    """State of each test by its name: passed, failed or skipped."""

    states: dict[str, str]

    def count(self, state: str) -> int:
        return Counter(self.states.values())[state]

    @property
    def failed(self) -> set[str]:
        return {name for name, state in self.states.items() if state == 'failed'}

    def __str__(self) -> str:
        counts = ', '.join(f'{self.count(state)} {state}' for state in ('passed', 'skipped', 'failed'))
        return f'{counts}, {len(self.states)} in all'


@dataclass(frozen=True)
class Expectation:
    """The tests that may fail, each with its reason, and how many must pass at least."""

    reasons: dict[str, str]
    lowest: int


def read_report(report: Path) -> Outcome:
    """Outcome in a JUnit report. A test that fails and also errors while it is cleared up counts once."""
    states: dict[str, str] = {}
    for case in ElementTree.parse(report).getroot().iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        kinds = {child.tag for child in case}
        state = 'failed' if kinds & {'failure', 'error'} else 'skipped' if 'skipped' in kinds else 'passed'
        if states.get(name) != 'failed':
            states[name] = state
    return Outcome(states)


def read_expectation(path: Path) -> Expectation:
    """Read expected.txt: one line ``at least N passed``, then ``name | reason`` lines."""
    reasons: dict[str, str] = {}
    lowest = 0
    for line in path.read_text(encoding='utf-8').splitlines():
        if not line.strip() or line.startswith('#'):
            continue
        if found := LOWEST.fullmatch(line.strip()):
            lowest = int(found.group(1))
            continue
        name, mark, reason = line.rpartition(' | ')
        if not mark or not name.strip() or not reason.strip():
            raise SystemExit(f'{path}: {line!r} is neither "name | reason" nor "at least N passed"')
        reasons[name.strip()] = reason.strip()
    if not lowest:
        raise SystemExit(f'{path}: the line "at least N passed" is missing')
    return Expectation(reasons, lowest)


def problems(outcome: Outcome, expectation: Expectation, whole: bool = True) -> Iterator[str]:
    """What is wrong with a run, a line each; counts and stale names are judged when the whole suite was asked for."""
    for name in sorted(outcome.failed - set(expectation.reasons)):
        yield f'{name} failed, and expected.txt does not list it'
    if not whole:
        return
    if outcome.count('passed') < expectation.lowest:
        yield f'only {outcome.count("passed")} tests passed; expected.txt says at least {expectation.lowest}'
    for name in sorted(set(expectation.reasons) - set(outcome.states)):
        yield f'{name} is listed in expected.txt, but the suite has no such test'
