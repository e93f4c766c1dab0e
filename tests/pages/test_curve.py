"""The learning curve: every place lies inside the drawing, and says the right number."""

import re
from types import SimpleNamespace

import pytest

from label_studio.ml_host.pages.curve import HEIGHT, SMALLEST_SPAN, WIDTH, curve_of


def point(version: int, labels: int, score: float, low: float, high: float):
    return SimpleNamespace(version=version, labels=labels, score=score, low=low, high=high)


POINTS = [point(1, 20, 0.5, 0.2, 0.8), point(3, 200, 0.9, 0.86, 0.94), point(2, 90, 0.75, 0.66, 0.84)]


def test_more_labels_are_further_right_and_a_better_score_is_higher():
    curve = curve_of(POINTS, in_service=3, archived=frozenset({1}))
    assert [mark.number for mark in curve.marks] == [1, 2, 3]
    assert [mark.kind for mark in curve.marks] == ['archived', 'other', 'service']
    xs, ys = [mark.x for mark in curve.marks], [mark.y for mark in curve.marks]
    assert xs == sorted(xs) and ys == sorted(ys, reverse=True)
    assert all(mark.high < mark.y < mark.low for mark in curve.marks)
    # 200 of 200 labels is the right end, 20 a tenth of the way.
    assert xs[2] == curve.right and xs[0] == pytest.approx(curve.left + (curve.right - curve.left) / 10, abs=0.1)
    assert curve.words.startswith('Version 1: 0.50 (0.20\N{EN DASH}0.80), 20 labels; Version 2')


def test_the_scale_shows_every_interval():
    curve = curve_of(POINTS)
    assert [tick.text for tick in curve.up] == ['0.2', '0.4', '0.6', '0.8', '1.0']
    assert [tick.text for tick in curve.across] == ['0', '50', '100', '150', '200']
    for mark in curve.marks:
        assert curve.top <= mark.high and mark.low <= curve.bottom


@pytest.mark.parametrize(
    'points',
    [
        [point(1, 0, 0.0, 0.0, 0.0), point(2, 0, 0.0, 0.0, 0.0)],
        [point(1, 1, 1.0, 1.0, 1.0), point(2, 3, 1.0, 1.0, 1.0)],
        [point(1, 10, 0.5, 0.5, 0.5), point(2, 123_456_789, 0.5, 0.5, 0.5)],
        [point(number, 7 * number, 0.001 * number, 0.0, 1.0) for number in range(1, 300)],
    ],
)
def test_odd_curves_stay_inside(points):
    curve = curve_of(points)
    for mark in curve.marks:
        assert curve.left <= mark.x <= curve.right and 0 <= mark.high <= mark.y <= mark.low <= HEIGHT
    numbers = [float(number) for number in re.findall(r'[\d.]+', curve.line + curve.band)]
    assert numbers and max(numbers) <= WIDTH
    assert 2 <= len(curve.across) <= 6 and 2 <= len(curve.up) <= 6
    span = float(curve.up[-1].text) - float(curve.up[0].text)
    assert span >= SMALLEST_SPAN - 1e-9


def test_the_line_takes_the_newest_version_of_a_number_of_labels():
    curve = curve_of([point(1, 10, 0.4, 0.3, 0.5), point(2, 10, 0.6, 0.5, 0.7), point(3, 20, 0.8, 0.7, 0.9)])
    assert len(curve.marks) == 3
    first, second, third = curve.marks
    assert curve.line == f'M{first.x:g} {second.y:g}L{third.x:g} {third.y:g}'
    assert curve.band.count('L') == 3
