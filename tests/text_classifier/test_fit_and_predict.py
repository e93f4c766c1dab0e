import json

import numpy as np
import pytest

from label_studio.ml_host.versions.safety import refuse_unsafe
from ml_plugins.exceptions import LabelConfigError, ModelVersionError, ParameterError, TrainingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract
from ml_plugins.testing.fakes import MemoryDataset
from ml_plugins.types import Prediction, Task, TaskFailure

from .conftest import choices, example, view

# Emoji with a skin tone and a joiner, combining accents, a script without spaces, and one from right to left.
STRANGE = ['👩🏽\u200d🚀 cafe\u0301 😀😀', '東京は日本の首都です。', 'שלום עולם', '🎉']


def few(names=('good', 'bad'), count=12, held_out=0):
    words = {'good': 'lovely bright day', 'bad': 'gloomy dark night', 'odd': 'purple square idea'}
    return [
        example(number, f'{words[names[number % len(names)]]} number {number}', number >= count,
                mood=[names[number % len(names)]])
        for number in range(count + held_out)
    ]  # fmt: skip


MOOD = view(choices('mood', ['good', 'bad', 'odd']))


class TestContract(BackendContract):
    from ml_plugins.contrib.text_classifier.backend import TextClassifier as backend_class

    label_config = MOOD
    params = {'embeddings': 'off'}

    def tasks(self):
        return [Task(1, {'text': 'a lovely day'}), Task(2, {'text': 'a dark night'})]

    def examples(self):
        return few(count=16, held_out=4)


def test_learns_where_real_texts_come_from(bench, real_texts):
    examples = [example(i, item.text, i >= 400, source=[item.source]) for i, item in enumerate(real_texts[:800])]
    run = bench.run()
    metrics = bench.backend().fit(MemoryDataset(examples), run)
    assert metrics['accuracy'] > 0.7
    assert (metrics['train_size'], metrics['held_out_size'], metrics['classes']) == (400, 400, 4)
    backend = bench.backend(run=run)
    tasks = [Task(number, {'text': item.text}) for number, item in enumerate(real_texts[1000:1200])]
    found = backend.predict(tasks)
    right = [
        item.regions[0].value['choices'] == [truth.source]
        for item, truth in zip(found, real_texts[1000:1200], strict=True)
    ]
    assert sum(right) / len(right) > 0.7
    for item in found:
        backend.label_config.check(item)
        assert item.probabilities['source'].sum() == pytest.approx(1)
        assert item.score == item.regions[0].score == pytest.approx(item.probabilities['source'].max())
        assert np.linalg.norm(item.embedding) == pytest.approx(1, abs=1e-3)
    refuse_unsafe(run.directory, [path.name for path in run.directory.iterdir()], ())


def test_texts_about_the_same_are_close_before_anything_is_learned(bench, real_texts):
    kinds = {kind: [item.text for item in real_texts if item.source == kind][:60] for kind in ('editorial', 'tweet')}
    backend = bench.backend()
    vectors = {}
    for kind, texts in kinds.items():
        found = backend.predict([Task(number, {'text': text}) for number, text in enumerate(texts)])
        assert all(item.regions == () and item.score is None for item in found)
        vectors[kind] = np.stack([item.embedding for item in found])
    within = np.mean([np.triu(rows @ rows.T, 1).sum() / (60 * 59 / 2) for rows in vectors.values()])
    assert within > np.mean(vectors['editorial'] @ vectors['tweet'].T)


def test_the_same_data_gives_the_same_files(bench):
    files = []
    for _ in range(2):
        run = bench.run()
        bench.backend(MOOD).fit(MemoryDataset(few()), run)
        files.append({path.name: path.read_bytes() for path in run.directory.iterdir()})
    assert files[0] == files[1]


def test_several_choices(bench):
    xml = view(choices('tags', ['sun', 'rain', 'wind'], 'choice="multiple"'))
    texts = {'sunny and hot': ['sun'], 'rainy and wet': ['rain'], 'rainy and windy': ['rain', 'wind'], 'calm': []}
    examples = [
        example(number, text, tags=tags) for number, (text, tags) in enumerate(list(texts.items()) * 6, start=1)
    ]
    run = bench.run()
    bench.backend(xml).fit(MemoryDataset(examples), run)
    backend = bench.backend(xml, run)
    found = backend.predict([Task(1, {'text': text}) for text in texts])
    assert [item.regions[0].value['choices'] if item.regions else [] for item in found] == list(texts.values())
    for item in found:
        backend.label_config.check(item)


def test_two_fields_and_a_page(bench):
    xml = (
        '<View><Text name="text" value="$text"/><HyperText name="page" value="$page"/>'
        '<Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>'
        '<Choices name="kind" toName="page"><Choice value="news"/><Choice value="shop"/></Choices></View>'
    )
    result = lambda name, to, label: {  # noqa: E731
        'from_name': name, 'to_name': to, 'type': 'choices', 'value': {'choices': [label]}
    }  # fmt: skip
    from ml_plugins.testing.fakes import example_of

    examples = []
    for number in range(12):
        odd = number % 2
        data = {
            'text': f'{"dark" if odd else "bright"} {number}',
            'page': f'<html><style>p {{}}</style><p>{"buy" if odd else "minister"} {number}</p></html>',
        }
        answers = [result('mood', 'text', 'bad' if odd else 'good'), result('kind', 'page', 'shop' if odd else 'news')]
        examples.append(example_of(Task(number, data), answers))
    run = bench.run()
    assert bench.backend(xml).fit(MemoryDataset(examples), run)['classes'] == 4
    [item] = bench.backend(xml, run).predict([Task(1, {'text': 'bright', 'page': '<b>minister</b>'})])
    assert [region.value['choices'] for region in item.regions] == [['good'], ['news']]
    assert item.score == min(region.score for region in item.regions)


@pytest.mark.parametrize('text', STRANGE)
def test_strange_texts_are_learned_and_predicted(bench, text):
    examples = [*few(count=8), *(example(50 + number, text, mood=['odd']) for number in range(4))]
    run = bench.run()
    bench.backend(MOOD).fit(MemoryDataset(examples), run)
    [item] = bench.backend(MOOD, run).predict([Task(1, {'text': text})])
    assert item.regions[0].value == {'choices': ['good' if text == '🎉' else 'odd']} or text == '🎉'
    assert np.isfinite(item.embedding).all()


@pytest.mark.parametrize(
    'data', [{'text': ''}, {'text': ' \n\t'}, {'text': None}, {}, {'text': '/data/upload/1/a.txt'}]
)
def test_a_text_that_cannot_be_read_fails_only_its_task(bench, data):
    run = bench.run()
    examples = [*few(), example(99, '', mood=['bad'])]
    bench.backend(MOOD).fit(MemoryDataset(examples), run)
    assert [task_id for task_id, _ in run.skipped] == [99]
    for version in (None, run):
        bad, good = bench.backend(MOOD, version).predict([Task(7, data), Task(8, {'text': 'a bright day'})])
        assert isinstance(bad, TaskFailure) and bad.task_id == 7 and '"text"' in bad.reason
        assert isinstance(good, Prediction)


def test_a_message_that_begins_with_a_link_is_a_text(bench):
    task = Task(1, {'text': 'https://example.org/a look at this lovely day'})
    [item] = bench.backend(MOOD).predict([task])
    assert isinstance(item, Prediction)


def test_a_very_long_text_does_not_hold_up_its_batch(bench):
    run = bench.run()
    bench.backend(MOOD).fit(MemoryDataset(few()), run)
    [item] = bench.backend(MOOD, run).predict([Task(1, {'text': 'bright ' * 2_000_000})])
    assert item.regions[0].value == {'choices': ['good']}


def test_labels_that_are_no_longer_in_the_label_config(bench):
    run = bench.run()
    bench.backend(MOOD).fit(MemoryDataset(few(('good', 'bad', 'odd'))), run)
    backend = bench.backend(view(choices('mood', ['bad', 'good', 'new'])), run)
    [item] = backend.predict([Task(1, {'text': 'purple square idea'})])
    backend.label_config.check(item)
    assert item.probabilities['mood'][2] == 0 and item.probabilities['mood'].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ('examples', 'words'),
    [
        ([], 'No text has a label of "mood" yet'),
        (few(('good',), 3), r'All 3 labeled texts have "good".*another class \(bad, odd\)'),
        (few(count=0, held_out=4), 'All 4 labeled texts of "mood" are kept back'),
        ([example(1, ' ', mood=['good']), example(2, '', mood=['bad'])], 'No text has a label'),
    ],
)
def test_what_cannot_be_learned_from_is_said(bench, examples, words):
    with pytest.raises(TrainingError, match=words):
        bench.backend(MOOD).fit(MemoryDataset(examples), bench.run())


def test_label_configs_that_it_cannot_serve():
    from ml_plugins.contrib.text_classifier.backend import TextClassifier

    for xml in (view(choices('mood', ['a'], 'perRegion="true"')), '<View><Text name="t" value="$t"/></View>'):
        with pytest.raises(LabelConfigError, match='it needs <Choices>'):
            TextClassifier.check(parse_label_config(xml))


@pytest.mark.parametrize('name', ['config.json', 'terms.json', 'arrays.safetensors'])
def test_a_damaged_version_is_said(bench, name):
    run = bench.run()
    bench.backend(MOOD).fit(MemoryDataset(few()), run)
    (run.directory / name).write_text(json.dumps({'format': 1}))
    with pytest.raises(ModelVersionError, match=str(run.directory)):
        bench.backend(MOOD, run)


def test_embeddings_that_are_not_there(bench, tmp_path):
    with pytest.raises(ParameterError, match=r'nor a folder with model\.safetensors and tokenizer\.json'):
        bench.backend(MOOD, embeddings=str(tmp_path))
