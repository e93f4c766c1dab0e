import numpy as np
import pytest

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.image_classifier import features
from ml_plugins.contrib.image_classifier.backend import ImageClassifier
from ml_plugins.exceptions import LabelConfigError, ModelVersionError, TrainingCancelledError, TrainingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing.fakes import MemoryDataset
from ml_plugins.types import Prediction, TaskFailure

from .conftest import COLOUR_CONFIG, COLOURS, choices, view


def colours(bench, count, held_out=0, names=tuple(COLOURS)):
    return [bench.example(i, names[i % len(names)], i >= count) for i in range(count + held_out)]


def test_learns_and_predicts(bench):
    run = bench.run()
    metrics = bench.backend().fit(MemoryDataset(colours(bench, 9, held_out=6)), run)
    assert metrics == {'train_size': 9.0, 'held_out_size': 6.0, 'classes': 3.0, 'accuracy': 1.0}
    assert run.metrics == metrics
    assert run.reports[-1][0] == run.reports[-1][1]

    backend = bench.backend(run=run)
    results = backend.predict([bench.task(100, 'blue'), bench.task(101, 'green')])
    assert [result.regions[0].value for result in results] == [{'choices': ['blue']}, {'choices': ['green']}]
    for result in results:
        backend.label_config.check(result)
        assert result.probabilities['colour'].sum() == pytest.approx(1)
        assert result.score == result.regions[0].score == pytest.approx(result.probabilities['colour'].max())
        assert result.embedding.shape == (1472,)


def test_the_same_data_gives_the_same_model(bench):
    files = []
    for _ in range(2):
        run = bench.run()
        bench.backend().fit(MemoryDataset(colours(bench, 4)), run)
        files.append((run.directory / 'head.safetensors').read_bytes())
    assert files[0] == files[1]


def test_without_held_out_pictures_there_is_no_accuracy(bench):
    metrics = bench.backend().fit(MemoryDataset(colours(bench, 2)), bench.run())
    assert metrics == {'train_size': 2.0, 'held_out_size': 0.0, 'classes': 2.0}


def test_held_out_pictures_are_never_learned_from(bench):
    examples = [*colours(bench, 4, names=('red', 'green')), bench.example(9, 'blue', True)]
    run = bench.run()
    metrics = bench.backend().fit(MemoryDataset(examples), run)
    assert metrics['accuracy'] == 0.0
    row = bench.backend(run=run).predict([bench.task(9, 'blue')])[0].probabilities['colour']
    assert row[2] == 0.0


def test_no_labels(bench):
    with pytest.raises(TrainingError, match='No picture has a label of "colour" yet'):
        bench.backend().fit(MemoryDataset([]), bench.run())


def test_one_class_is_named(bench):
    with pytest.raises(TrainingError, match=r'All 3 labeled pictures have "red".*another class \(green, blue\)'):
        bench.backend().fit(MemoryDataset(colours(bench, 3, names=('red',))), bench.run())


def test_second_class_only_held_out(bench):
    examples = [bench.example(1, 'red'), bench.example(2, 'green', True)]
    with pytest.raises(TrainingError, match='pictures of "green" are all kept back'):
        bench.backend().fit(MemoryDataset(examples), bench.run())


def test_unreadable_pictures_are_skipped_by_task_id(bench):
    examples = [*colours(bench, 4, held_out=2), bench.example(50, None, colour=['red'])]
    bench.files.content['/data/1.png'] = b'<html>not found</html>'
    run = bench.run()
    metrics = bench.backend().fit(MemoryDataset(examples), run)
    assert {task_id for task_id, _ in run.skipped} == {1, 50}
    assert metrics['train_size'] == 3.0
    assert all('image' in reason for _, reason in run.skipped)


def test_too_few_readable_pictures(bench):
    examples = colours(bench, 2)
    bench.files.content['/data/1.png'] = b'broken'
    with pytest.raises(TrainingError, match='All 1 labeled pictures have "red"'):
        bench.backend().fit(MemoryDataset(examples), bench.run())


def test_unreadable_picture_fails_only_its_task(bench):
    run = bench.run()
    bench.backend().fit(MemoryDataset(colours(bench, 4)), run)
    good, bad = bench.backend(run=run).predict([bench.task(7, 'red'), bench.task(8, None)])
    assert isinstance(good, Prediction)
    assert isinstance(bad, TaskFailure) and bad.task_id == 8 and 'image' in bad.reason


def test_features_are_reused(bench, monkeypatch):
    counts = []
    compute = features.compute
    monkeypatch.setattr(features, 'compute', lambda b, squares: counts.append(len(squares)) or compute(b, squares))
    bench.backend().fit(MemoryDataset(colours(bench, 4)), bench.run())
    bench.backend().fit(MemoryDataset(colours(bench, 6)), bench.run())
    assert counts == [4, 2]


def test_damaged_cache_is_made_again(bench):
    bench.backend().fit(MemoryDataset(colours(bench, 4)), bench.run())
    (shard,) = (bench.folder / 'cache').rglob('*.safetensors')
    shard.write_bytes(b'rubbish')
    assert bench.backend().fit(MemoryDataset(colours(bench, 4)), bench.run())['train_size'] == 4.0


def test_cancel_keeps_the_features(bench):
    run = bench.run()
    run.stop_after = 2
    with pytest.raises(TrainingCancelledError):
        bench.backend(batch_size=2).fit(MemoryDataset(colours(bench, 6)), run)
    assert not list(run.directory.iterdir())
    assert list((bench.folder / 'cache').rglob('*.safetensors'))


def test_several_controls(bench):
    xml = view(choices('colour', COLOURS), choices('warm', ['yes', 'no']))
    warm = {'red': 'yes', 'green': 'no', 'blue': 'no'}
    examples = [
        bench.example(i, c, i >= 6, colour=[c], warm=[warm[c]] if i != 1 else [])
        for i, c in enumerate(['red', 'green', 'blue'] * 3)
    ]
    run = bench.run()
    metrics = bench.backend(xml).fit(MemoryDataset(examples), run)
    assert metrics['accuracy_colour'] == metrics['accuracy_warm'] == metrics['accuracy'] == 1.0
    result = bench.backend(xml, run).predict([bench.task(100, 'red')])[0]
    assert [(r.from_name, r.value['choices']) for r in result.regions] == [('colour', ['red']), ('warm', ['yes'])]
    assert set(result.probabilities) == {'colour', 'warm'}


def test_a_control_that_cannot_be_learned_is_left_out(bench):
    xml = view(choices('colour', COLOURS), choices('warm', ['yes', 'no']))
    run = bench.run()
    bench.backend(xml).fit(MemoryDataset(colours(bench, 4)), run)
    assert any('Left out: No picture has a label of "warm"' in line for line in run.log_lines)
    result = bench.backend(xml, run).predict([bench.task(100, 'red')])[0]
    assert [region.from_name for region in result.regions] == ['colour']


def test_multiple_choice(bench):
    xml = view(choices('tags', ['reddish', 'dark', 'cold'], 'choice="multiple"'))
    tags = {'red': ['reddish'], 'blue': ['cold', 'dark'], 'green': []}
    examples = [bench.example(i, c, i >= 9, tags=tags[c]) for i, c in enumerate(['red', 'green', 'blue'] * 4)]
    run = bench.run()
    assert bench.backend(xml).fit(MemoryDataset(examples), run)['accuracy'] == 1.0
    backend = bench.backend(xml, run)
    red, green, blue = backend.predict([bench.task(100 + i, c) for i, c in enumerate(COLOURS)])
    assert red.regions[0].value == {'choices': ['reddish']}
    assert not green.regions and 0.5 <= green.score <= 1
    assert blue.regions[0].value == {'choices': ['dark', 'cold']}
    for result in (red, green, blue):
        backend.label_config.check(result)


def test_labels_follow_the_label_config(bench):
    run = bench.run()
    bench.backend().fit(MemoryDataset(colours(bench, 6)), run)
    changed = view(choices('colour', ['yellow', 'blue', 'green']))
    result = bench.backend(changed, run).predict([bench.task(100, 'blue')])[0]
    assert result.regions[0].value == {'choices': ['blue']}
    assert result.probabilities['colour'][0] == 0.0
    assert result.probabilities['colour'].sum() == pytest.approx(1)
    # And answers that are no longer in the config are not learned.
    metrics = bench.backend(changed).fit(MemoryDataset(colours(bench, 6)), bench.run())
    assert metrics['train_size'] == 4.0 and metrics['classes'] == 2.0


def test_without_a_version_it_only_says_which_pictures_are_alike(bench):
    backend = bench.backend()
    backend.setup()
    red, blue, again = backend.predict([bench.task(1, 'red'), bench.task(2, 'blue'), bench.task(3, 'red')])
    assert (red.regions, red.score, red.probabilities) == ((), None, None)
    assert np.linalg.norm(red.embedding - again.embedding) < np.linalg.norm(red.embedding - blue.embedding) / 2


def test_another_version_does_not_ask_the_network_again(bench, monkeypatch):
    def computed():
        counted = []
        compute = features.compute
        monkeypatch.setattr(
            features, 'compute', lambda backbone, wanted: counted.extend(wanted) or compute(backbone, wanted)
        )
        return counted

    def loaded(run=None):
        version = run.version() if run else None
        backend = ImageClassifier(
            BackendContext(parse_label_config(COLOUR_CONFIG), {}, version, cache_directory=bench.folder / 'cache')
        )
        backend.setup()
        return backend

    tasks = [bench.task(number, 'red') for number in (100, 101, 102)]
    untrained = loaded()
    first = untrained.predict(tasks)
    untrained.close()
    run = bench.run()
    bench.backend().fit(MemoryDataset(colours(bench, 6)), run)
    counted = computed()
    again = loaded(run).predict([*tasks, bench.task(103, 'blue')])
    assert [task.id for task, _ in counted] == [103]
    assert all(np.array_equal(a.embedding, b.embedding) for a, b in zip(first, again, strict=False))


@pytest.mark.parametrize('name', ['head.safetensors', 'config.json'])
def test_damaged_version(bench, name):
    run = bench.run()
    bench.backend().fit(MemoryDataset(colours(bench, 2)), run)
    (run.directory / name).write_bytes(b'\x00' * 20)
    with pytest.raises(ModelVersionError):
        bench.backend(run=run)


@pytest.mark.parametrize(
    'xml',
    [
        '<View><Text name="text" value="$text"/><Choices name="c" toName="text"><Choice value="a"/></Choices></View>',
        view(choices('c', ['a', 'b'], 'perRegion="true"')),
    ],
)
def test_refused_label_configs(bench, xml):
    with pytest.raises(LabelConfigError, match='it needs <Choices>'):
        type(bench.backend()).check(parse_label_config(xml))


def test_served_label_config(bench):
    type(bench.backend()).check(parse_label_config(COLOUR_CONFIG))


def test_embeddings_have_length_one(bench):
    run = bench.run()
    bench.backend().fit(MemoryDataset(colours(bench, 2)), run)
    assert np.linalg.norm(bench.backend(run=run).predict([bench.task(5, 'red')])[0].embedding) == pytest.approx(1)
