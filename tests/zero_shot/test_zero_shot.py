import pytest

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.text_embeddings import is_installed
from ml_plugins.contrib.zero_shot.backend import ZeroShot
from ml_plugins.contrib.zero_shot.descriptions import descriptions
from ml_plugins.exceptions import LabelConfigError, ParameterError
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract
from ml_plugins.types import Prediction, Task, TaskFailure
from tests.assets.snippets import snippets
from tests.assets.tuxpaint import AssetsMissingError

needs_minilm = pytest.mark.skipif(not is_installed('minilm'), reason='the extra zero-shot is not installed')
HINTS = {
    'product review': 'review of a product such as a camera, a phone or a dvd player',
    'movie review': '',
    'editorial': 'newspaper editorial about politics',
    'tweet': 'personal message',
}


def config(labels, attributes=''):
    inside = ''.join(f'<Choice value="{label}" hint="{hint}"/>' for label, hint in labels.items())
    controls = f'<Choices name="kind" toName="text" {attributes}>{inside}</Choices>'
    return f'<View><Text name="text" value="$text"/>{controls}</View>'


def backend(xml, **params):
    made = ZeroShot(BackendContext(parse_label_config(xml), params))
    made.setup()
    return made


@needs_minilm
class TestContract(BackendContract):
    backend_class = ZeroShot
    label_config = config({'sports': '', 'cooking': 'recipes and food', 'finance': ''})

    def tasks(self):
        return [Task(1, {'text': 'The striker scored twice.'}), Task(2, {'text': 'Stir the soup and add salt.'})]


@needs_minilm
def test_real_texts_get_the_label_that_describes_them():
    try:
        items = snippets()[:200]
    except AssetsMissingError as error:
        pytest.skip(str(error))
    made = backend(config(HINTS))
    found = [
        item
        for start in range(0, len(items), 64)
        for item in made.predict([Task(1, {'text': item.text}) for item in items[start : start + 64]])
    ]
    for item in found[:5]:
        made.label_config.check(item)
        assert item.probabilities['kind'].sum() == pytest.approx(1)
    right = [item.regions[0].value['choices'] == [truth.source] for item, truth in zip(found, items, strict=True)]
    assert sum(right) / len(right) > 0.5


@needs_minilm
def test_several_labels_or_none():
    made = backend(config({'football': '', 'money': '', 'cats': ''}, 'choice="multiple"'), threshold=0.25)
    both, none = made.predict(
        [
            Task(1, {'text': 'The football club pays its players more money.'}),
            Task(2, {'text': 'The compiler reported a syntax error.'}),
        ]
    )
    assert set(both.regions[0].value['choices']) == {'football', 'money'}
    assert none.regions == [] and none.score > 0.5


@needs_minilm
@pytest.mark.parametrize('data', [{'text': ''}, {'text': '   '}, {}])
def test_an_empty_text_fails_only_its_task(data):
    bad, good = backend(config(HINTS)).predict([Task(1, data), Task(2, {'text': '😀 cafe\u0301'})])
    assert isinstance(bad, TaskFailure) and '"text"' in bad.reason
    assert isinstance(good, Prediction)


def test_names_hints_and_aliases_say_what_a_label_means():
    xml = (
        '<View><Text name="text" value="$text"/><Choices name="kind" toName="text"><Choice value="Product_review" '
        'alias="p" hint="a camera; a phone "/><Choice value="movieReview"/></Choices></View>'
    )
    label_config = parse_label_config(xml)
    assert descriptions(label_config, label_config.control('Choices')) == {
        'p': ['Product review', 'a camera', 'a phone'],
        'movieReview': ['movie Review'],
    }


@needs_minilm
def test_a_template_without_its_place_is_refused():
    with pytest.raises(ParameterError, match=r'has no \{label\} in it'):
        backend(config(HINTS), template='This is nice')


def test_pictures_are_refused():
    choices = '<Choices name="kind" toName="image"><Choice value="a"/></Choices>'
    xml = f'<View><Image name="image" value="$image"/>{choices}</View>'
    with pytest.raises(LabelConfigError, match='<Text> or <HyperText>'):
        ZeroShot.check(parse_label_config(xml))
