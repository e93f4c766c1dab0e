import random

import pytest

from ml_plugins.contrib.ocr.lines import Line, in_reading_order

from .conftest import corners

COLUMNS = {
    'Title': (10, 10, 390, 40),
    'left 1': (10, 60, 180, 80), 'left 2': (10, 85, 180, 105), 'left 3': (10, 110, 175, 130),
    'right 1': (220, 60, 390, 80), 'right 2': (220, 85, 390, 105), 'right 3': (220, 110, 390, 130),
    'Footer': (10, 200, 390, 220),
}  # fmt: skip
FORM = {
    'Name': (10, 10, 60, 30), 'Ada': (200, 12, 260, 32),
    'Born': (10, 50, 60, 70), '1815': (200, 50, 260, 70),
}  # fmt: skip
# Each line begins before the one above it ends.
ASKEW = {f'line {number}': (10, 20 * number, 300, 20 * number + 28) for number in range(6)}


@pytest.mark.parametrize('places', [COLUMNS, FORM, ASKEW], ids=['columns', 'form', 'askew'])
@pytest.mark.parametrize('seed', range(3))
def test_lines_are_put_in_order(places, seed):
    lines = [Line(text, corners(*place), 1.0) for text, place in places.items()]
    random.Random(seed).shuffle(lines)
    assert [line.text for line in in_reading_order(lines)] == list(places)


def test_nothing_and_a_single_line():
    only = Line('a', corners(0, 0, 1, 1), 1.0)
    assert in_reading_order([]) == []
    assert in_reading_order([only]) == [only]
