"""How far two answers agree: by kind of control, the same in both directions, and never an error."""

import math

import pytest

from ml_plugins.agreement import agreement, content_of, controls_of


def item(kind, value, name='tag', **extra):
    return {'from_name': name, 'to_name': 'data', 'type': kind, 'value': value, **extra}


def choices(*labels, name='tag'):
    return item('choices', {'choices': list(labels)}, name)


def text(*lines):
    return item('textarea', {'text': list(lines)})


def span(start, end, label='Person', **extra):
    return item('labels', {'start': start, 'end': end, 'labels': [label], **extra})


def box(x, y, width, height, label='Car', rotation=0, **extra):
    value = {'x': x, 'y': y, 'width': width, 'height': height, 'rotation': rotation, 'rectanglelabels': [label]}
    return item('rectanglelabels', value, **extra)


def polygon(*points, label='Car'):
    return item('polygonlabels', {'points': [list(point) for point in points], 'polygonlabels': [label]})


def ellipse(x, y, wide, high, rotation=0):
    value = {'x': x, 'y': y, 'radiusX': wide, 'radiusY': high, 'rotation': rotation, 'ellipselabels': ['Car']}
    return item('ellipselabels', value)


def point(x, y):
    return item('keypointlabels', {'x': x, 'y': y, 'width': 1, 'keypointlabels': ['Nose']})


SQUARE = polygon((0, 0), (10, 0), (10, 10), (0, 10))
CASES = {
    'both say nothing': ([], [], 1.0),
    'only one says something': ([choices('a')], [], 0.0),
    'same choice': ([choices('a')], [choices('a')], 1.0),
    'other choice': ([choices('a')], [choices('b')], 0.0),
    'one of two choices': ([choices('a')], [choices('a', 'b')], 0.5),
    'no choice is nothing': ([choices()], [], 1.0),
    'taxonomy by paths': (
        [item('taxonomy', {'taxonomy': [['a', 'b'], ['c']]})],
        [item('taxonomy', {'taxonomy': [['a', 'b'], ['a', 'c'], ['c']]})],
        2 / 3,
    ),
    'rating next to it': ([item('rating', {'rating': 4})], [item('rating', {'rating': 5})], 0.8),
    'numbers of other sign': ([item('number', {'number': -3})], [item('number', {'number': 3})], 0.0),
    'zero twice': ([item('number', {'number': 0})], [item('number', {'number': 0.0})], 1.0),
    'kitten and sitting': ([text('kitten')], [text('sitting')], 1 - 3 / 7),
    'spaces of texts': ([text('a  fine\nday')], [text('a fine', 'day')], 1.0),
    'long text by words': ([text('word ' * 300)], [text('word ' * 200 + 'other ' * 100)], 2 / 3),
    'same span': ([span(0, 10)], [span(0, 10)], 1.0),
    'span with another label': ([span(0, 10)], [span(0, 10, 'Place')], 0.0),
    'half of the spans': ([span(0, 10), span(20, 30)], [span(1, 10), span(40, 50)], 0.5),
    'span of a time': ([span(0.0, 1.0)], [span(0.4, 1.4)], 0.0),
    'one span found twice': ([span(0, 10), span(0, 9)], [span(0, 10)], 2 / 3),
    'other channel': ([span(0, 1, channel=0)], [span(0, 1, channel=1)], 0.0),
    'box that covers 60 %': ([box(0, 0, 10, 10)], [box(0, 0, 10, 6)], 1.0),
    'box that covers 40 %': ([box(0, 0, 10, 10)], [box(0, 0, 10, 4)], 0.0),
    'boxes apart': ([box(0, 0, 10, 10)], [box(20, 0, 10, 10)], 0.0),
    'turned box': ([box(10, 0, 10, 10, rotation=90)], [box(0, 0, 10, 10)], 1.0),
    'turned box of a wide picture': (
        [box(10, 0, 5, 10, rotation=90, original_width=200, original_height=100)],
        [box(5, 0, 5, 10)],
        1.0,
    ),
    'box on another picture': ([box(0, 0, 9, 9, item_index=0)], [box(0, 0, 9, 9, item_index=1)], 0.0),
    'polygon on its box': ([SQUARE], [polygon((0, 0), (10, 0), (10, 6), (0, 6))], 1.0),
    'triangle of a third': ([SQUARE], [polygon((0, 0), (10, 0), (0, 6))], 0.0),
    'slender polygons': (
        [polygon((0, 0), (100, 98), (100, 100))],
        [polygon((0, 0), (100, 98), (100, 99.5))],
        1.0,
    ),
    'slender polygons apart': (
        [polygon((0, 0), (100, 98), (100, 100))],
        [polygon((0, 3), (100, 95), (100, 96.5))],
        0.0,
    ),
    'lines': ([polygon((0, 0), (50, 50), (100, 100))], [polygon((0, 0), (40, 40), (100, 100))], 1.0),
    'ellipse a little further': ([ellipse(50, 50, 10, 5)], [ellipse(51, 50, 10, 5)], 1.0),
    'ellipse turned': ([ellipse(50, 50, 20, 2)], [ellipse(50, 50, 20, 2, rotation=90)], 0.0),
    'point nearby': ([point(10, 10)], [point(11, 11)], 1.0),
    'point far away': ([point(10, 10)], [point(20, 10)], 0.0),
    'span of a document': (
        [
            item(
                'hypertextlabels', {'start': '/p[1]', 'globalOffsets': {'start': 5, 'end': 9}, 'hypertextlabels': ['A']}
            )
        ],
        [
            item(
                'hypertextlabels', {'start': '/p[2]', 'globalOffsets': {'start': 5, 'end': 8}, 'hypertextlabels': ['A']}
            )
        ],
        1.0,
    ),
    'span within one paragraph': (
        [span('2', '2', startOffset=0, endOffset=10)],
        [span('2', '2', startOffset=2, endOffset=10)],
        1.0,
    ),
    'spans of two paragraphs': (
        [span('1', '1', startOffset=0, endOffset=10)],
        [span('2', '2', startOffset=0, endOffset=10)],
        0.0,
    ),
    'span over paragraphs': (
        [span('1', '2', startOffset=0, endOffset=10)],
        [span('1', '2', startOffset=0, endOffset=10)],
        1.0,
    ),
    'frames of a video': (
        [item('timelinelabels', {'ranges': [{'start': 1, 'end': 9}], 'timelinelabels': ['Run']})],
        [item('timelinelabels', {'ranges': [{'start': 2, 'end': 9}], 'timelinelabels': ['Run']})],
        1.0,
    ),
    'mask by its label': (
        [item('brushlabels', {'format': 'rle', 'rle': [1], 'brushlabels': ['Sky']})],
        [item('brushlabels', {'format': 'rle', 'rle': [2], 'brushlabels': ['Sky']})],
        1.0,
    ),
    'pairwise': ([item('pairwise', {'selected': 'left'})], [item('pairwise', {'selected': 'right'})], 0.0),
    'another tag by equality': (
        [item('datetime', {'datetime': '2024-01-01'})],
        [item('datetime', {'datetime': '2024-01-01'})],
        1.0,
    ),
    'mean over controls': (
        [choices('a'), choices('b', name='other')],
        [choices('a'), choices('c', name='other')],
        0.5,
    ),
    'relations and scores do not count': (
        [choices('a') | {'score': 0.9}],
        [choices('a'), {'type': 'relation', 'from_id': '1', 'to_id': '2', 'direction': 'right'}],
        1.0,
    ),
}


@pytest.mark.parametrize(('answer', 'truth', 'expected'), CASES.values(), ids=CASES)
def test_agreement(answer, truth, expected):
    assert agreement(answer, truth) == pytest.approx(expected)
    assert agreement(truth, answer) == pytest.approx(expected)
    assert agreement(answer, answer) == agreement(truth, truth) == 1.0


def test_only_some_controls_count():
    answer, truth = [choices('a')], [choices('a'), choices('seen', name='comment')]
    assert agreement(answer, truth) == 0.5
    assert agreement(answer, truth, ['tag']) == 1.0
    assert agreement([], truth, ['tag']) == 0.0


@pytest.mark.parametrize(
    'rubbish',
    [
        None,
        'text',
        {},
        {'from_name': 'tag'},
        {'from_name': 'tag', 'value': None},
        item('rectanglelabels', {'x': None, 'y': 'a', 'width': 1, 'height': 2, 'rectanglelabels': ['Car']}),
        item('polygonlabels', {'points': [[1]], 'polygonlabels': ['Car']}),
        item('polygonlabels', {'points': 'abc', 'polygonlabels': ['Car']}),
        item('number', {'number': 'many'}),
        item('number', {'number': math.nan}),
        item('number', {'number': [1, 2]}),
        item('textarea', {'text': [None, 3]}),
        item('choices', {'choices': [{'a': 1}]}),
        item('choices', 'a'),
    ],
    ids=str,
)
def test_rubbish_is_no_error(rubbish):
    for other in ([choices('a')], [box(0, 0, 1, 1)], [span(0, 1)], [text('a')], [item('number', {'number': 1})]):
        assert 0.0 <= agreement([rubbish], other) < 1.0
        assert 0.0 <= agreement(other, [rubbish]) < 1.0


def test_many_regions_are_paired_once():
    grid = [box(5 * (i % 20), 5 * (i // 20), 4, 4) for i in range(200)]
    moved = [box(5 * (i % 20) + 0.5, 5 * (i // 20), 4, 4) for i in range(200)]
    assert agreement(grid, moved) == 1.0
    assert agreement(grid, moved[:100]) == pytest.approx(200 / 300)


def test_controls_and_contents():
    assert controls_of([choices('a'), box(0, 0, 1, 1) | {'from_name': 'box'}]) == {'tag', 'box'}
    assert content_of(text('a')) == ['a']
    assert content_of(box(0, 0, 1, 1)) == ['Car']
