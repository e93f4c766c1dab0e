import numpy as np
import pytest

from ml_plugins.contrib.ocr.lines import Line
from ml_plugins.contrib.ocr.regions import as_regions, layout_of
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.geometry import shape_of
from ml_plugins.label_config import parse_label_config
from ml_plugins.types import Prediction

from .conftest import BOXES, IMAGE, TEMPLATE, TEXT, WHOLE, corners


def regions(config, *lines, **options):
    parsed = parse_label_config(config)
    made = as_regions(lines, layout_of(parsed, **options), 400, 200)
    parsed.check(Prediction(made))
    return [region.as_result() for region in made]


LINE = Line('Hello', corners(40, 20, 120, 40), 0.9)
OTHER = Line('World', corners(40, 60, 120, 80), 0.8)


def test_a_line_is_two_results_of_one_region():
    box, text, *_ = found = regions(BOXES, LINE, OTHER)
    assert [item['type'] for item in found] == ['rectanglelabels', 'textarea'] * 2
    assert box['id'] == text['id'] and len({item['id'] for item in found}) == 2
    assert box['value'] == {'x': 10, 'y': 10, 'width': 20, 'height': 10, 'rotation': 0, 'rectanglelabels': ['Text']}
    assert text['value']['text'] == ['Hello'] and text['value']['x'] == 10
    assert (text['original_width'], text['original_height'], text['score']) == (400, 200, 0.9)


def test_label_studios_template():
    found = regions(TEMPLATE, LINE)
    assert [(item['from_name'], item['type']) for item in found] == [
        ('bbox', 'rectangle'), ('label', 'labels'), ('text', 'textarea'),
    ]  # fmt: skip
    assert len({item['id'] for item in found}) == 1
    assert found[1]['value']['labels'] == ['Text']


def test_polygons():
    found = regions(TEMPLATE, LINE, shape='polygon')
    assert (found[0]['from_name'], found[0]['type']) == ('poly', 'polygon')
    assert found[0]['value']['points'][2] == [30, 20]


def test_a_line_that_is_askew_gets_a_turned_box():
    turned = np.array([[100, 50], [180, 110], [168, 126], [88, 66]], float)
    box = regions(BOXES, Line('askew', turned, 0.9))[0]
    assert box['value']['rotation'] == pytest.approx(np.degrees(np.arctan2(60, 80)))
    assert np.allclose(shape_of(box).outline / 100 * (400, 200), turned)


def test_boxes_stay_in_the_picture():
    box = regions(BOXES, Line('cut', corners(-30, -10, 900, 20), 0.9))[0]
    assert [box['value'][key] for key in ('x', 'y', 'width', 'height')] == [0, 0, 100, 10]
    assert regions(BOXES, Line('gone', corners(500, 10, 600, 20), 0.9)) == []


def test_the_text_of_the_whole_picture():
    (only,) = regions(WHOLE, LINE, OTHER)
    assert only['value'] == {'text': ['Hello\nWorld']} and only['score'] == 0.8
    assert regions(WHOLE) == []


def test_labels():
    assert regions(BOXES, LINE, label='Heading')[0]['value']['rectanglelabels'] == ['Heading']
    with pytest.raises(LabelConfigError, match='has no label "Footer"; it has Heading, Text'):
        regions(BOXES, LINE, label='Footer')
    unlabeled = f'<View>{IMAGE}<Rectangle name="box" toName="image"/>{TEXT}</View>'
    assert [item['type'] for item in regions(unlabeled, LINE)] == ['rectangle', 'textarea']


def test_text_of_regions_needs_regions():
    with pytest.raises(LabelConfigError, match='<RectangleLabels>'):
        layout_of(parse_label_config(f'<View>{IMAGE}{TEXT}</View>'))
