"""Predictions are checked by the label config's own parser; a shape that it accepted is not asked about again."""

import math
import random

import pytest

from ml_plugins import LabelConfig, Prediction, Region
from ml_plugins.exceptions import PredictionError
from ml_plugins.plain import why_not_json

XML = (
    '<View><Image name="image" value="$image"/><Text name="text" value="$text"/>'
    '<Choices name="choice" toName="image" choice="multiple"><Choice value="cat"/><Choice value="dog"/></Choices>'
    '<RectangleLabels name="box" toName="image"><Label value="car"/><Label value="bus"/></RectangleLabels>'
    '<PolygonLabels name="shape" toName="image"><Label value="car"/></PolygonLabels>'
    '<BrushLabels name="brush" toName="image"><Label value="sky"/></BrushLabels>'
    '<Labels name="span" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>'
    '<TextArea name="words" toName="text"/><Rating name="stars" toName="text" maxRating="5"/>'
    '<Number name="number" toName="text"/><Taxonomy name="kind" toName="text"><Choice value="a"><Choice value="b"/>'
    '</Choice></Taxonomy></View>'
)
NUMBERS = (
    0,
    1,
    3,
    5,
    6,
    50,
    99,
    100,
    101,
    255,
    256,
    400,
    -1,
    0.5,
    1.0,
    2.5,
    4.0,
    99.5,
    100.5,
    -0.5,
    1e300,
    math.nan,
    math.inf,
)
TEXTS = ('cat', 'dog', 'car', 'PER', 'a', 'b', 'sky', 'Michael', '12', ' 7 ', 'inf', 'true', '', 'nul \x00', '\ud800')


@pytest.fixture
def config():
    return LabelConfig(XML)


def asked(config, monkeypatch):
    """How often the parser's own validation is asked from now on."""
    calls = []
    validate = config._interface.validate_prediction
    monkeypatch.setattr(
        config._interface, 'validate_prediction', lambda *args, **kw: calls.append(1) or validate(*args, **kw)
    )
    return calls


def box(x=10.5, label='car', **extra):
    value = {'x': x, 'y': 20.5, 'width': 30.5, 'height': 40.5, 'rotation': 0, 'rectanglelabels': [label]}
    return Region('box', 'image', 'rectanglelabels', value, 0.5, extra=extra)


def test_a_shape_is_validated_once(config, monkeypatch):
    calls = asked(config, monkeypatch)
    for _ in range(100):
        config.check(Prediction([config.control('Choices').choices('cat', score=0.9)], score=0.9))
    assert len(calls) == 1
    config.check(Prediction([config.control('Choices').choices('dog')]))
    assert len(calls) == 2


def test_numbers_between_accepted_ones_are_not_asked_about(config, monkeypatch):
    calls = asked(config, monkeypatch)
    for x in (1.5, 98.5, 1.5, 50.25, 98.5):
        config.check(Prediction([box(x)]))
    assert len(calls) == 2


def test_texts_that_are_no_labels_are_one_shape(config, monkeypatch):
    calls = asked(config, monkeypatch)
    control = config.control('TextArea')
    for text in ('a first one', 'Zoë', 'another\nline'):
        config.check(Prediction([control.text(text)]))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ('region', 'words'),
    [
        (box(100.5), 'x 100.5 out of bounds'),
        (box(label='bird'), 'valid labels'),
        (box(math.nan), 'cannot be stored: Out of range float values'),
        (box(original_width=math.inf), 'cannot be stored: Out of range float values'),
        (Region('other', 'image', 'rectanglelabels', box().value), "'from_name' 'other' not found"),
        (Region('box', 'text', 'rectanglelabels', box().value), "'to_name' 'text' is not valid"),
        (Region('box', 'image', 'choices', box().value), "Type 'choices' does not match"),
        (Region('box', 'image', 'rectanglelabels', {'x': 1}), 'Invalid value'),
        (Region(['box'], 'image', 'rectanglelabels', box().value), 'not found'),
        (Region('box', 'image', 'rectanglelabels', box().value, extra={'type': 'choices'}), 'does not match'),
        (Region('words', 'text', 'textarea', {'text': ['a \x00']}), 'NUL'),
        ({'from_name': 'box'}, 'region 1 is a dict, not a Region'),
    ],
    ids=lambda item: item if isinstance(item, str) else '',
)
def test_what_is_wrong_is_refused_after_good_ones_were_learned(config, region, words):
    for good in (box(0.5), box(99.5), box(original_width=10), box(original_width=1e300), box(type='rectanglelabels')):
        config.check(Prediction([good]))
    config.check(Prediction([config.control('TextArea').text('fine')]))
    with pytest.raises(PredictionError, match=words):
        config.check(Prediction([box(), region]))


def test_the_numbers_deep_in_a_value_must_be_finite(config):
    points = [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]]
    value = {'points': points, 'polygonlabels': ['car']}
    config.check(Prediction([Region('shape', 'image', 'polygonlabels', value)]))
    for wrong in (math.nan, math.inf, -math.inf):
        value = {'points': [*points[:2], [5.5, wrong]], 'polygonlabels': ['car']}
        with pytest.raises(PredictionError, match='region 0'):
            config.check(Prediction([Region('shape', 'image', 'polygonlabels', value)]))


def test_how_many_numbers_there_are_counts(config):
    for points in ([[1.5, 2.5], [90.5, 80.5]], [[90.5, 80.5], [1.5, 2.5]]):
        value = {'points': points, 'polygonlabels': ['car']}
        config.check(Prediction([Region('shape', 'image', 'polygonlabels', value)]))
    value = {'points': [[1.5, 2.5], [10.5, 20.5, 30.5]], 'polygonlabels': ['car']}
    with pytest.raises(PredictionError, match='Invalid value'):
        config.check(Prediction([Region('shape', 'image', 'polygonlabels', value)]))


def test_labels_of_another_region_are_checked_with_it():
    """Labels of a box are a region of their own with the same id; without the box they are wrong."""
    config = LabelConfig(
        '<View><Image name="image" value="$image"/><Rectangle name="box" toName="image"/>'
        '<Labels name="name" toName="image"><Label value="car"/></Labels></View>'
    )
    place = {'x': 1.5, 'y': 2.5, 'width': 3.5, 'height': 4.5}
    box = Region('box', 'image', 'rectangle', place, id='one')
    labels = Region('name', 'image', 'labels', {**place, 'labels': ['car']}, id='one')
    config.check(Prediction([box, labels]))
    with pytest.raises(PredictionError, match='Invalid value'):
        config.check(Prediction([labels]))


def values(chance):
    """A value of a random control, right or wrong."""

    def number():
        return chance.choice(NUMBERS)

    def text():
        return chance.choice(TEXTS)

    def labels():
        return [text() for _ in range(chance.choice((0, 1, 1, 1, 2)))]

    def anything():
        return chance.choice((number, text, labels, lambda: None, lambda: True, lambda: {'deep': [number()]}))()

    makers = {
        ('choice', 'image', 'choices'): lambda: {'choices': labels()},
        ('box', 'image', 'rectanglelabels'): lambda: {
            **{key: number() for key in ('x', 'y', 'width', 'height')},
            'rectanglelabels': labels(),
        },
        ('shape', 'image', 'polygonlabels'): lambda: {
            'points': [[number() for _ in range(chance.choice((2, 2, 2, 3)))] for _ in range(chance.choice((0, 1, 3)))],
            'polygonlabels': labels(),
        },
        ('brush', 'image', 'brushlabels'): lambda: {
            'format': 'rle',
            'rle': [number() for _ in range(chance.choice((0, 1, 4)))],
            'brushlabels': labels(),
        },
        ('span', 'text', 'labels'): lambda: {'start': number(), 'end': number(), 'text': text(), 'labels': labels()},
        ('words', 'text', 'textarea'): lambda: {'text': labels()},
        ('stars', 'text', 'rating'): lambda: {'rating': number()},
        ('number', 'text', 'number'): lambda: {'number': number()},
        ('kind', 'text', 'taxonomy'): lambda: {'taxonomy': [labels() for _ in range(chance.choice((0, 1, 2)))]},
    }
    names = chance.choice(list(makers))
    value = makers[names]()
    if chance.random() < 0.15:
        value[chance.choice([*value, 'more'])] = anything()
    return names, value


@pytest.mark.parametrize('seed', range(4))
def test_the_verdict_is_always_that_of_the_parser(config, seed):
    chance = random.Random(seed)
    accepted = refused = 0
    for _ in range(3000):
        names, value = values(chance)
        region = Region(*names, value, id=chance.choice((None, None, 'one')))
        prediction = Prediction([region])
        errors = config._interface.validate_prediction({'result': prediction.result()}, return_errors=True)
        is_fine = not errors and not why_not_json(region.as_result())
        try:
            config.check(prediction)
        except PredictionError as error:
            assert not is_fine, (region, error)
            refused += 1
        else:
            assert is_fine, (region, errors)
            accepted += 1
    assert accepted > 300
    assert refused > 300
