"""The code of the documentation's page on active learning runs, and its tables name everything."""

import re
import subprocess
import sys
from pathlib import Path

from ml_plugins.strategies import criterion_classes, strategy_classes

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'active-learning.md'
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def test_every_strategy_and_criterion_has_a_row():
    rows = re.findall(r'^\| (`[^|]+`) \|', PAGE.read_text(encoding='utf-8'), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r'`(\w+)`', row)}
    assert {*strategy_classes(), *criterion_classes()} <= named


def test_the_code_of_the_page_passes_its_own_tests(tmp_path):
    for name, body in BLOCK.findall(PAGE.read_text(encoding='utf-8')):
        (tmp_path / name).write_text(body, encoding='utf-8')
    tests = sorted(path.name for path in tmp_path.glob('test_*.py'))
    assert {'test_my_strategy.py', 'test_my_criterion.py', 'test_choose.py'} <= set(tests)
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', *tests, '-q', '-p', 'no:cacheprovider', '-p', 'no:django'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' passed' in done.stdout
