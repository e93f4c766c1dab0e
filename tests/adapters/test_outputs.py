"""From what a model says to regions that the label config's own parser accepts."""

import numpy as np
import pytest
from label_studio_sdk.converter.brush import decode_rle

from ml_plugins import Prediction, PredictionError, parse_label_config
from ml_plugins.adapters import Box, Mask, Point, Polygon, Span, TextBox, convert
from ml_plugins.adapters.converting import Naming, Subject
from ml_plugins.adapters.labels import LabelMatcher
from tests.adapters.configs import MOOD, on_picture, on_text

PICTURE = Subject(size=(200, 100))
CARS = '<RectangleLabels name="c" toName="image"><Label value="Car"/><Label value="Bus"/></RectangleLabels>'
OUTLINES = '<PolygonLabels name="c" toName="image"><Label value="Car"/><Label value="Bus"/></PolygonLabels>'
PIXELS = '<BrushLabels name="c" toName="image"><Label value="Car"/><Label value="Bus"/></BrushLabels>'
POINTS = '<KeyPointLabels name="c" toName="image"><Label value="Car"/><Label value="Bus"/></KeyPointLabels>'
SEVERAL = on_text(
    '<Choices name="c" toName="text" choice="multiple">'
    '<Choice value="a"/><Choice value="b"/><Choice value="x"/></Choices>'
)
ENTITIES = on_text('<Labels name="c" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>')


def naming_of(xml, **options):
    config = parse_label_config(xml)
    control = config.all_controls[0]
    return Naming(LabelMatcher(control, options.pop('label_map', None)), **options)


def said(value, xml, subject=None, **options):
    """What is stored for a value, after the check that a host makes."""
    found = convert(value, naming_of(xml, **options), subject)
    prediction = Prediction(found.regions, found.score)
    parse_label_config(xml).check(prediction)
    return found, [dict(region.value) for region in found.regions]


@pytest.mark.parametrize(
    'value', ['good', ['good'], ('good', 0.9), {'good': 0.9, 'bad': 0.1}, np.array([0.9, 0.1]), np.str_('good'), 0]
)
def test_one_choice_in_each_way_to_say_it(value):
    _found, values = said(value, MOOD)
    assert values == [{'choices': ['good']}]


def test_a_tensor_of_probabilities_is_scored_and_serves_active_learning():
    torch = pytest.importorskip('torch')
    found, values = said(torch.tensor([0.25, 0.75]), MOOD)
    assert values == [{'choices': ['bad']}]
    assert found.score == pytest.approx(0.75)
    assert found.probabilities.tolist() == pytest.approx([0.25, 0.75])


def test_names_for_one_label_add_up_and_what_has_no_label_does_not_count():
    found, values = said(
        {'fine': 0.3, 'nice': 0.3, 'bad': 0.2, 'x': 0.2}, MOOD, label_map={'fine': 'good', 'nice': 'good'}
    )
    assert values == [{'choices': ['good']}]
    assert found.score == pytest.approx(0.6)
    assert found.probabilities.tolist() == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize('value', [{'x': 0.9, 'a': 0.6, 'b': 0.2}, ['a', 'x'], {'a', 'x'}, np.array([0.6, 0.2, 0.9])])
def test_several_choices(value):
    _found, values = said(value, SEVERAL)
    assert sorted(values[0]['choices']) == ['a', 'x']


def test_none_of_several_choices_is_an_answer_with_a_score():
    found, values = said({'a': 0.1, 'b': 0.2, 'x': 0.05}, SEVERAL)
    assert values == []
    assert found.score == pytest.approx(0.8)


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        ({'good': float('nan'), 'bad': 0.1}, "probability of 'good' is nan"),
        ({'good': 3.2, 'bad': -1.0}, 'softmax'),
        (np.array([0.1, 0.2, 0.7]), 'shape (3,) for 2 labels'),
        (['good', 'bad'], 'choice="multiple"'),
        (7, 'label number 7'),
        (object(), 'takes labels'),
        ('awful', '"awful"'),
    ],
)
def test_what_is_no_choice_is_refused_with_the_reason(value, reason):
    with pytest.raises(PredictionError) as caught:
        said(value, MOOD)
    assert reason in str(caught.value)


def test_spans_may_overlap_and_the_same_one_is_kept_once():
    text = 'Anna Berg lives in Berlin'
    value = [
        (19, 25, 'LOC', 0.9),
        Span(0, 9, 'PER', 0.6),
        Span(0, 9, 'PER', 0.8),
        {'start': 5, 'end': 9, 'label': 'LOC'},
    ]
    found, values = said(value, ENTITIES, Subject(text))
    assert [(item['start'], item['end'], item['text'], item['labels']) for item in values] == [
        (0, 9, 'Anna Berg', ['PER']),
        (5, 9, 'Berg', ['LOC']),
        (19, 25, 'Berlin', ['LOC']),
    ]
    assert [region.score for region in found.regions] == [0.8, None, 0.9]


@pytest.mark.parametrize(
    ('text', 'span', 'part'),
    [
        ('💩 Anna', (2, 6), 'Anna'),
        ('👩🏽\u200d🚒 Anna', (5, 9), 'Anna'),
        ('👩🏽\u200d🚒 Anna', (0, 1), '👩🏽\u200d🚒'),
        ('🇩🇪🇫🇷 Anna', (2, 3), '🇫🇷'),
        ('Rene\u0301 Roy', (0, 4), 'Rene\u0301'),
        ('a\r\nAnna', (3, 7), 'Anna'),
        ('Anna', (-3, 99), 'Anna'),
    ],
)
def test_places_in_texts_are_characters_of_python_and_never_half_of_what_is_seen(text, span, part):
    _found, values = said([(*span, 'PER')], ENTITIES, Subject(text))
    assert [(item['text'], text[item['start'] : item['end']]) for item in values] == [(part, part)]


def test_spans_outside_of_the_text_are_left_out(caplog):
    _found, values = said([(90, 99, 'PER'), (3, 3, 'PER'), (2, 1, 'PER')], ENTITIES, Subject('Anna'))
    assert values == []
    assert caplog.text.count('left out') == 1


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        ([(0.5, 3, 'PER')], 'whole numbers'),
        ([(float('nan'), 3, 'PER')], 'must be finite'),
        ([(0, 3)], 'it takes (start, end, label, score)'),
        ('Anna', 'must be a list of Span'),
        ([(0, 3, 'PER', 1.5)], 'the score of span 0'),
        ([(0, 3, '')], 'there are several: PER, LOC'),
    ],
)
def test_what_is_no_span_is_refused_with_the_reason(value, reason):
    with pytest.raises(PredictionError) as caught:
        said(value, ENTITIES, Subject('Anna'))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    'value',
    [
        [Box(20, 10, 120, 60, 'Car', 0.9)],
        [(20, 10, 120, 60, 'Car', np.float32(0.9))],
        [(120, 60, 20, 10, 'Car', 0.9)],
        {'x0': 20, 'y0': 10, 'x1': 120, 'y1': 60, 'label': 'car', 'score': 0.9},
        [(np.float32(20), np.int64(10), 120, 60, 0, 0.9)],
    ],
)
def test_boxes_in_pixels_become_percent(value):
    found, values = said(value, on_picture(CARS), PICTURE)
    assert values == [{'x': 10, 'y': 10, 'width': 50, 'height': 50, 'rotation': 0, 'rectanglelabels': ['Car']}]
    assert found.regions[0].extra == {'original_width': 200, 'original_height': 100, 'image_rotation': 0}
    assert found.score == pytest.approx(0.9)


def test_boxes_are_cut_off_at_the_edges_and_left_out_beyond_them(caplog):
    value = [(-50, 50, 250, 150, 'Car'), (300, 10, 400, 20, 'Car'), (5, 5, 5, 50, 'Bus')]
    _found, values = said(value, on_picture(CARS), PICTURE)
    assert values == [{'x': 0, 'y': 50, 'width': 100, 'height': 50, 'rotation': 0, 'rectanglelabels': ['Car']}]
    assert caplog.text.count('outside of the picture') == 1


def test_boxes_with_labels_that_are_not_there_are_reported_once_and_the_others_stay(caplog):
    naming = naming_of(on_picture(CARS))
    for _ in range(3):
        found = convert([(0, 0, 10, 10, 'person'), (0, 0, 10, 10, 'bus')], naming, PICTURE)
        assert [region.value['rectanglelabels'] for region in found.regions] == [['Bus']]
    assert caplog.text.count('"person"') == 2, caplog.text


def test_boxes_below_the_threshold_are_left_out():
    value = [(0, 0, 10, 10, 'Car', 0.69), (0, 0, 10, 10, 'Bus', 0.7), (0, 0, 10, 10, 'Bus')]
    _found, values = said(value, on_picture(CARS), PICTURE, threshold=0.7)
    assert [item['rectanglelabels'] for item in values] == [['Bus'], ['Bus']]


@pytest.mark.parametrize(
    ('value', 'reason'),
    [
        ([(0, 0, float('nan'), 10, 'Car')], 'x of box 0 is nan'),
        ([(0, 0, 10)], 'it takes (x0, y0, x1, y1, label, score)'),
        ([(0, 0, 10, 10, 5)], 'label number 5'),
        ([(0, 0, 10, 10, 'Car', float('inf'))], 'the score of box 0'),
    ],
)
def test_what_is_no_box_is_refused_with_the_reason(value, reason):
    with pytest.raises(PredictionError) as caught:
        said(value, on_picture(CARS), PICTURE)
    assert reason in str(caught.value)


def test_boxes_without_the_size_of_the_picture_say_what_to_do():
    with pytest.raises(PredictionError, match=r'return the picture from read\(\)'):
        said([(0, 0, 10, 10, 'Car')], on_picture(CARS))


def test_boxes_without_labels_as_one_array():
    _found, values = said(
        np.array([[0, 0, 100, 50], [100, 50, 200, 100]]), on_picture('<Rectangle name="c" toName="image"/>'), PICTURE
    )
    assert [item['x'] for item in values] == [0, 50]


def test_polygons():
    value = [Polygon([(0, 0), (100, 0), (250, 100)], 'Car', 0.8), (np.array([[0, 0], [20, 0], [20, 10]]), 'bus')]
    _found, values = said(value, on_picture(OUTLINES), PICTURE)
    assert values[0]['points'] == [[0, 0], [50, 0], [100, 100]]
    assert [item['polygonlabels'] for item in values] == [['Car'], ['Bus']]
    with pytest.raises(PredictionError, match='three or more'):
        said([([(0, 0), (1, 1)], 'Car')], on_picture(OUTLINES), PICTURE)


def test_points():
    _found, values = said([Point(100, 50, 'Car'), (400, 50, 'Car')], on_picture(POINTS), PICTURE)
    assert [(item['x'], item['y'], item['keypointlabels']) for item in values] == [(50, 50, ['Car'])]


def circle(width=200, height=100):
    y, x = np.mgrid[:height, :width]
    return (x - 100) ** 2 + (y - 50) ** 2 < 900


@pytest.mark.parametrize(
    'value',
    [
        Mask(circle(), 'Bus'),
        [Mask(circle().astype(np.uint8) * 255, 'Bus')],
        {'Bus': circle().astype(np.float32) * 0.9},
        circle().astype(np.int64) * 2,
    ],
)
def test_masks_are_read_back_by_the_sdk(value):
    _found, values = said(value, on_picture(PIXELS), PICTURE)
    assert [item['brushlabels'] for item in values] == [['Bus']]
    pixels = decode_rle(values[0]['rle']).reshape(100, 200, 4)
    assert ((pixels > 0) == circle()[..., None]).all()


def test_masks_of_another_size_are_scaled_and_empty_ones_left_out():
    small = np.zeros((10, 20))
    small[:5] = 1
    found, values = said([Mask(small, 'Car'), Mask(np.zeros((10, 20)), 'Bus')], on_picture(PIXELS), PICTURE)
    assert len(values) == 1
    assert (decode_rle(values[0]['rle']).reshape(100, 200, 4)[..., 3] > 0).mean() == 0.5
    assert found.regions[0].extra['original_width'] == 200


@pytest.mark.parametrize('shape', [(1, 1), (7, 5), (400, 300)])
def test_masks_of_noise_and_of_long_runs_come_back(shape):
    for mask in (np.random.default_rng(0).random(shape) > 0.5, np.ones(shape, dtype=bool)):
        _found, values = said(Mask(mask, 'Car'), on_picture(PIXELS), Subject(size=shape[::-1]))
        assert ((decode_rle(values[0]['rle']).reshape(*shape, 4) > 0) == mask[..., None]).all()


@pytest.mark.parametrize('array', [np.zeros((2, 3, 4)), np.full((4, 4), np.nan), np.array([['a']])])
def test_what_is_no_mask_is_refused(array):
    with pytest.raises(PredictionError, match='mask 0'):
        said([Mask(array, 'Car')], on_picture(PIXELS), PICTURE)


AREA = '<TextArea name="c" toName="image" perRegion="true"/>'


@pytest.mark.parametrize(
    ('companions', 'kinds'),
    [
        ('<Rectangle name="box" toName="image"/>', ['rectangle', 'textarea']),
        (
            '<RectangleLabels name="box" toName="image"><Label value="Text"/></RectangleLabels>',
            ['rectanglelabels', 'textarea'],
        ),
        (
            '<Labels name="kind" toName="image"><Label value="Print"/><Label value="Hand"/></Labels>'
            '<Rectangle name="box" toName="image"/>',
            ['labels', 'rectangle', 'textarea'],
        ),
    ],
)
def test_texts_in_a_picture_are_one_region_each(companions, kinds):
    xml = on_picture(AREA + companions)
    config = parse_label_config(xml)
    area, *others = config.all_controls
    label = 'hand' if 'labels' in kinds else ''
    value = [TextBox(0, 0, 100, 50, 'Hello', label, 0.9), (300, 0, 400, 10, 'outside')]
    found = convert(value, Naming(LabelMatcher(area), companions=tuple(others)), PICTURE)
    config.check(Prediction(found.regions, found.score))
    assert sorted(region.type for region in found.regions) == kinds
    assert len({region.id for region in found.regions}) == 1
    [text] = [region.value for region in found.regions if region.type == 'textarea']
    assert (text['text'], text['x'], text['width']) == (['Hello'], 0, 50)


def test_texts_in_a_picture_without_a_box_to_draw_say_what_is_missing():
    with pytest.raises(PredictionError, match='<Rectangle>'):
        said([TextBox(0, 0, 1, 1, 'Hello')], on_picture(AREA), PICTURE)


@pytest.mark.parametrize('value', ['Hello', ['Hello'], ('Hello', 0.7)])
def test_a_transcription(value):
    _found, values = said(value, '<View><Audio name="audio" value="$a"/><TextArea name="c" toName="audio"/></View>')
    assert values == [{'text': ['Hello']}]


def test_spans_of_a_sound_are_seconds():
    xml = (
        '<View><Audio name="audio" value="$a"/><Labels name="c" toName="audio"><Label value="Speech"/></Labels></View>'
    )
    _found, values = said([(0.5, 2.25, 'speech'), (3, 2, 'speech')], xml)
    assert [(item['start'], item['end'], item['labels']) for item in values] == [(0.5, 2.25, ['Speech'])]


@pytest.mark.parametrize(
    ('tag', 'value', 'stored'),
    [
        ('<Number name="c" toName="text" min="0" max="10"/>', np.float32(3.5), {'number': 3.5}),
        ('<Number name="c" toName="text" min="0" max="10"/>', 99, {'number': 10}),
        ('<Number name="c" toName="text"/>', np.array([-4]), {'number': -4}),
        ('<Rating name="c" toName="text" maxRating="7"/>', 6.6, {'rating': 7}),
        ('<Rating name="c" toName="text"/>', -2, {'rating': 1}),
    ],
)
def test_numbers(tag, value, stored):
    _found, values = said(value, on_text(tag))
    assert values == [stored]


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 'many', [1, 2]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(PredictionError, match='the number of "c"'):
        said(value, on_text('<Number name="c" toName="text"/>'))


@pytest.mark.parametrize('value', [['Animal', 'Cat'], [['Animal', 'cat']]])
def test_a_path_of_a_taxonomy(value):
    tree = '<Taxonomy name="c" toName="text"><Choice value="Animal"><Choice value="Cat"/></Choice></Taxonomy>'
    _found, values = said(value, on_text(tree))
    assert values == [{'taxonomy': [['Animal', 'Cat']]}]


def test_a_control_that_has_no_converter_is_named():
    with pytest.raises(PredictionError, match='<DateTime>'):
        said('today', on_text('<DateTime name="c" toName="text"/>'))
