"""Labels of models that are not those of the label config."""

import pytest

from ml_plugins import LabelConfigError, ParameterError, Serves, Task, TaskFailure, parse_label_config
from ml_plugins.adapters import FunctionBackend
from ml_plugins.adapters.labels import LabelMatcher, parse_label_map
from tests.adapters.configs import loaded, on_picture, on_text

VEHICLES = on_picture(
    '<RectangleLabels name="kind" toName="image"><Label value="Car" predicted_values="car_v2, Automobile"/>'
    '<Label value="Fire Truck"/><Label value="car_v2 old"/></RectangleLabels>'
)
MOOD = on_text('<Choices name="mood" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>')


def matcher(**label_map):
    return LabelMatcher(parse_label_config(VEHICLES).control('RectangleLabels'), label_map)


@pytest.mark.parametrize(
    ('name', 'label'),
    [
        ('Car', 'Car'),
        ('car_v2', 'Car'),
        ('AUTOMOBILE', 'Car'),
        ('car', 'Car'),
        ('fire_truck', 'Fire Truck'),
        (' Fire-truck ', 'Fire Truck'),
        ('lorry', None),
    ],
)
def test_a_label_is_found_by_predicted_values_exactly_and_loosely(name, label):
    assert matcher().match(name) == label


def test_a_label_map_goes_first():
    assert matcher(Car='Fire Truck').match('Car') == 'Fire Truck'


def test_a_label_map_to_a_label_that_is_not_there_is_refused():
    with pytest.raises(LabelConfigError) as caught:
        matcher(lorry='Lorry')
    assert 'maps "lorry" to "Lorry"' in str(caught.value)
    assert '"Fire Truck"' in str(caught.value)


def test_a_name_without_a_label_gets_the_closest_one_proposed():
    message = matcher().unknown('fire truk')
    assert 'set the parameter label_map to "fire truk = Fire Truck"' in message
    assert 'predicted_values="fire truk"' in message


@pytest.mark.parametrize(
    'text', ['lorry = Truck; van=Car', 'lorry=Truck\nvan = Car', '{"lorry": "Truck", "van": "Car"}']
)
def test_a_label_map_is_typed_as_pairs_or_json(text):
    assert parse_label_map(text) == {'lorry': 'Truck', 'van': 'Car'}


@pytest.mark.parametrize('text', ['lorry', '= Truck', '{"lorry": 1}', '{"lorry"'])
def test_a_label_map_that_is_none_is_refused(text):
    with pytest.raises(ParameterError, match='label_map'):
        parse_label_map(text)


class Polarity(FunctionBackend):
    """Speaks of POS and NEG."""

    serves = [Serves('Choices', 'Text')]
    labels = ('POS', 'NEG')

    def function(self, text):
        return {'POS': 0.8, 'NEG': 0.2}


def test_a_model_none_of_whose_labels_fits_is_refused_with_a_mapping():
    xml = on_text('<Choices name="mood" toName="text"><Choice value="pos."/><Choice value="neg."/></Choices>')
    with pytest.raises(LabelConfigError) as caught:
        loaded(Polarity, xml)
    assert 'set the parameter label_map to "POS = pos.; NEG = neg."' in str(caught.value)


def test_the_proposed_mapping_can_be_set_and_works():
    backend = loaded(Polarity, MOOD, {'label_map': 'POS = Positive; NEG = Negative'})
    [prediction] = backend.predict([Task(1, {'text': 'fine'})])
    assert prediction.regions[0].value == {'choices': ['Positive']}
    assert prediction.probabilities['mood'].tolist() == pytest.approx([0.8, 0.2])


def test_a_mapping_may_come_with_the_backend():
    class Mapped(Polarity):
        label_map = {'POS': 'Positive', 'NEG': 'Negative'}

    [prediction] = loaded(Mapped, MOOD).predict([Task(1, {'text': 'fine'})])
    assert prediction.regions[0].value == {'choices': ['Positive']}


def test_a_mapping_of_the_backend_to_labels_that_a_project_does_not_have_gives_way():
    class Mapped(Polarity):
        label_map = {'POS': 'Positive', 'NEG': 'Negative'}

    xml = on_text('<Choices name="mood" toName="text"><Choice value="pos"/><Choice value="neg"/></Choices>')
    [prediction] = loaded(Mapped, xml).predict([Task(1, {'text': 'fine'})])
    assert prediction.regions[0].value == {'choices': ['pos']}
    with pytest.raises(LabelConfigError, match='no such label'):
        loaded(Mapped, xml, {'label_map': 'POS = Positive'})


def test_a_model_some_of_whose_labels_fit_says_once_which_do_not(caplog):
    backend = loaded(Polarity, MOOD, {'label_map': 'POS = Positive'})
    for _ in range(3):
        backend.predict([Task(1, {'text': 'fine'})])
    [record] = [record for record in caplog.records if 'NEG' in record.getMessage()]
    assert '1 of 2 labels of the model are not in <Choices name="mood">' in record.getMessage()


def test_an_answer_without_a_label_fails_alone_with_a_proposal():
    class Odd(FunctionBackend):
        serves = [Serves('Choices', 'Text')]

        def function(self, text):
            return 'positiv' if text == 'odd' else 'Positive'

    odd, fine = loaded(Odd, MOOD).predict([Task(1, {'text': 'odd'}), Task(2, {'text': 'fine'})])
    assert isinstance(odd, TaskFailure)
    assert '"positiv = Positive"' in odd.reason
    assert fine.regions[0].value == {'choices': ['Positive']}
