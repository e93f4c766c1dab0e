import random

import numpy as np
import pytest

from label_studio.ml_host.versions.safety import refuse_unsafe
from ml_plugins.backend import BackendContext
from ml_plugins.exceptions import LabelConfigError, ModelVersionError, ParameterError, TrainingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract
from ml_plugins.testing.fakes import MemoryDataset, MemoryRun, example_of
from ml_plugins.types import Prediction, Task, TaskFailure
from tests.assets.conll import sentences
from tests.assets.tuxpaint import AssetsMissingError

pytest.importorskip('spacy', reason='the extra ner is not installed')

from ml_plugins.contrib.ner.backend import NamedEntities
from ml_plugins.contrib.ner.naming import meanings, names_to_learn


def config(*labels, attributes=''):
    inside = ''.join(f'<Label value="{label}" {attributes}/>' for label in labels)
    return f'<View><Text name="text" value="$text"/><Labels name="label" toName="text">{inside}</Labels></View>'


PEOPLE = config('Person', 'Location', 'Organization')


def backend(xml=PEOPLE, run=None, **params):
    made = NamedEntities(BackendContext(parse_label_config(xml), params, run.version() if run else None))
    made.setup()
    return made


def marked(number, text, *pieces, held_out=False, offsets=None):
    """A task whose annotation marks pieces of its text."""
    result = []
    for piece, label in pieces:
        start = text.index(piece)
        value = {'start': start, 'end': start + len(piece), 'text': piece, 'labels': [label], **(offsets or {})}
        result.append({'from_name': 'label', 'to_name': 'text', 'type': 'labels', 'value': value})
    return example_of(Task(number, {'text': text}), result, held_out)


def drinks(count=12, held_out=0):
    words = ['tea', 'coffee', 'cocoa', 'juice']
    found = []
    for number in range(count + held_out):
        word = words[number % 4]
        text = f'👩🏽\u200d🚀 ordered {word} and cafe\u0301 number {number}'
        found.append(marked(number, text, (word, 'Drink'), held_out=number >= count))
    return found


class TestContract(BackendContract):
    backend_class = NamedEntities
    label_config = config('Person', 'Drink')
    params = {'epochs': 2}

    def tasks(self):
        return [Task(1, {'text': 'Tim Cook drinks tea in Paris.'}), Task(2, {'text': 'Angela Merkel spoke.'})]

    def examples(self):
        return drinks(8, 4)


def test_finds_people_and_places_untrained():
    text = 'Tim Cook met Angela Merkel in Berlin; Siemens paid.'
    [found] = backend().predict([Task(1, {'text': text})])
    marked = {(region.value['text'], region.value['labels'][0]) for region in found.regions}
    assert marked >= {('Tim Cook', 'Person'), ('Angela Merkel', 'Person'), ('Berlin', 'Location')}
    for region in found.regions:
        assert region.value['text'] == text[region.value['start'] : region.value['end']]
        assert 0 <= region.score <= 1
    assert found.score == min(region.score for region in found.regions)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-4)
    backend().label_config.check(found)


def test_offsets_count_code_points_as_the_editor_does():
    text = '😀👩🏽\u200d🚀 cafe\u0301 🇩🇪: Angela Merkel visited Paris.'
    [found] = backend().predict([Task(1, {'text': text})])
    assert 'Angela Merkel' in {text[region.value['start'] : region.value['end']] for region in found.regions}


def test_learns_what_the_project_marks(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    xml = config('Drink')
    metrics = backend(xml, epochs=10).fit(MemoryDataset(drinks(16, 4)), run)
    assert metrics['f1'] > 0.8 and (metrics['train_size'], metrics['held_out_size']) == (16, 4)
    text = '🎉👩🏽\u200d🚀 ordered coffee and cafe\u0301 number 77'
    [found] = backend(xml, run).predict([Task(1, {'text': text})])
    assert [region.value['text'] for region in found.regions] == ['coffee']
    names = [path.relative_to(run.directory).as_posix() for path in run.directory.rglob('*') if path.is_file()]
    refuse_unsafe(run.directory, names, NamedEntities.safe_files)


def test_real_news_are_learned_from_what_is_known(tmp_path):
    try:
        parts = {part: random.Random(0).sample(sentences(part), 80) for part in ('train', 'test')}
    except AssetsMissingError as error:
        pytest.skip(str(error))
    examples = []
    for number, (part, item) in enumerate((part, item) for part, items in parts.items() for item in items):
        result = [
            {'from_name': 'label', 'to_name': 'text', 'type': 'labels',
             'value': {'start': start, 'end': end, 'text': item.text[start:end], 'labels': [label]}}
            for start, end, label in item.entities
        ]  # fmt: skip
        examples.append(example_of(Task(number, {'text': item.text}), result, part == 'test'))
    xml = config('PER', 'LOC', 'ORG', 'MISC')
    from ml_plugins.contrib.ner.examples import collect
    from ml_plugins.contrib.ner.training import measure

    untrained = backend(xml)
    control = untrained.label_config.control('Labels', 'Text')
    labeled = collect(MemoryDataset(examples), control, MemoryRun(tmp_path / 'first'))
    before = measure(untrained._finders['label'], labeled.held_out)['f1']
    after = backend(xml, epochs=4).fit(MemoryDataset(examples), MemoryRun(tmp_path / 'second'))['f1']
    assert after > before > 0.4


def test_a_blank_pipeline_learns_another_language(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    xml = config('Getränk')
    examples = [marked(n, f'Er trinkt {w} Nummer {n}', (w, 'Getränk')) for n, w in enumerate(['Tee', 'Saft'] * 8)]
    backend(xml, model='blank', language='de', epochs=25).fit(MemoryDataset(examples), run)
    [found] = backend(xml, run, model='blank', language='de').predict([Task(1, {'text': 'Er trinkt Tee Nummer 99'})])
    assert [region.value['text'] for region in found.regions] == ['Tee']


def test_before_a_blank_pipeline_is_trained_it_says_nothing():
    assert backend(model='blank').predict([Task(1, {'text': 'Tim Cook'})]) == [None]


@pytest.mark.parametrize('data', [{'text': ''}, {'text': ' \n'}, {}, {'text': None}])
def test_an_empty_text_fails_only_its_task(tmp_path, data):
    bad, good = backend().predict([Task(1, data), Task(2, {'text': 'Angela Merkel'})])
    assert isinstance(bad, TaskFailure) and '"text"' in bad.reason
    assert isinstance(good, Prediction) and good.regions


@pytest.mark.parametrize('text', ['.', '😀', '\u0301', '\u200b\u200b', 'שלום', '東京は日本の首都です。', 'x' * 60_000])
def test_strange_texts_give_valid_answers(text):
    made = backend()
    [found] = made.predict([Task(1, {'text': text})])
    made.label_config.check(found)
    assert np.isfinite(found.embedding).all()


def test_spans_that_cannot_be_learned_are_counted_and_left_out(tmp_path):
    text = 'Angela Merkel ordered coffee in Berlin'
    bad = [{'end': None}, {'start': 500, 'end': 600}, {'start': 'p[1]'}, {'labels': ['Gone']}, {'start': 6, 'end': 7}]
    examples = [
        marked(1, text, ('Angela Merkel', 'Person'), ('Merkel', 'Person'), ('coffee in Berlin', 'Location'),
               ('Berlin', 'Location')),
        *(marked(10 + place, text, ('coffee', 'Person'), offsets=offsets) for place, offsets in enumerate(bad)),
        marked(30, '', held_out=False),
    ]  # fmt: skip
    run = MemoryRun(tmp_path / 'run')
    backend(epochs=1).fit(MemoryDataset(examples), run)
    log = '\n'.join(run.log_lines)
    assert '2 spans of "label" left out: it overlaps a longer one' in log
    assert '3 spans of "label" left out: its offsets are not in the text' in log
    assert '1 span of "label" left out: it has no label of the label config' in log
    assert '1 span of "label" left out: there is nothing but space in it' in log
    assert [task_id for task_id, _ in run.skipped] == [30]


@pytest.mark.parametrize(
    ('examples', 'words'),
    [
        ([], 'No text has a span of "label" yet'),
        ([marked(1, 'tea', ('tea', 'Person'), held_out=True)], 'kept back for measuring'),
        ([marked(1, 'tea', ('tea', 'Person'), offsets={'start': 7, 'end': 9})], 'can be learned from.*not in the text'),
    ],
)
def test_what_cannot_be_learned_from_is_said(tmp_path, examples, words):
    with pytest.raises(TrainingError, match=words):
        backend().fit(MemoryDataset(examples), MemoryRun(tmp_path / 'run'))


def names_of(xml, names, label_map=''):
    control = parse_label_config(xml).control('Labels', 'Text')
    found = meanings(control, names, label_map)
    return found, names_to_learn(control, found)


def test_labels_that_the_pipeline_calls_otherwise():
    found, learned = names_of(
        config('Person', 'Organisation', 'Place', 'Drink'), ['PERSON', 'ORG', 'GPE', 'LOC', 'LAW']
    )
    assert found == {'PERSON': 'Person', 'ORG': 'Organisation', 'GPE': 'Place', 'LOC': 'Place'}
    assert learned == {'Person': 'PERSON', 'Organisation': 'ORG', 'Place': 'GPE', 'Drink': 'Drink'}


def test_predicted_values_and_the_label_map_come_first():
    assert names_of(config('Who', attributes='predicted_values="PERSON,ORG"'), ['PERSON', 'ORG'])[0] == {
        'PERSON': 'Who', 'ORG': 'Who'
    }  # fmt: skip
    assert names_of(config('City', 'Person'), ['GPE', 'PERSON'], 'PERSON = City')[0] == {
        'GPE': 'City',
        'PERSON': 'City',
    }
    with pytest.raises(LabelConfigError, match='no such label'):
        names_of(config('City'), ['GPE'], 'GPE = Town')


def test_a_version_survives_labels_that_are_gone(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    backend(config('Drink'), epochs=2).fit(MemoryDataset(drinks()), run)
    made = backend(config('Food'), run)
    [found] = made.predict([Task(1, {'text': 'ordered tea and'})])
    assert not found.regions


def test_a_damaged_version_is_said(tmp_path):
    run = MemoryRun(tmp_path / 'run')
    backend(config('Drink'), epochs=1).fit(MemoryDataset(drinks(4)), run)
    (model,) = run.directory.rglob('model')
    model.write_bytes(b'rubbish')
    with pytest.raises(ModelVersionError, match='cannot be loaded'):
        backend(config('Drink'), run)


@pytest.mark.parametrize(
    ('params', 'words'),
    [
        ({'model': 'os'}, '"os" is neither one of auto, blank'),
        ({'model': 'blank', 'language': 'xx-klingon'}, 'no language "xx-klingon"'),
        ({'label_map': 'PERSON'}, 'is no pair'),
    ],
)
def test_parameters_that_do_not_work(params, words):
    with pytest.raises(ParameterError, match=words):
        backend(**params)


def test_a_label_config_without_labels():
    with pytest.raises(LabelConfigError, match='it needs <Labels>'):
        NamedEntities.check(parse_label_config('<View><Text name="text" value="$text"/></View>'))
