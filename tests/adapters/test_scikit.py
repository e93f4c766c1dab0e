"""Estimators on real data: digits, wine, the words of the standard library's own documentation."""

import pickle

import numpy as np
import pytest

from label_studio.ml_host.versions.safety import refuse_unsafe
from ml_plugins import LabelConfigError, Serves, Task, TaskFailure, TrainingError
from ml_plugins.adapters import SklearnBackend
from ml_plugins.adapters.scikit_files import MODEL
from ml_plugins.exceptions import ModelVersionError
from ml_plugins.testing import BackendContract, MemoryDataset, MemoryRun, example_of
from tests.adapters.configs import DIGITS, loaded, on_text, picture_files

# Sentences about two subjects, from the documentation of modules that everybody has.
SUBJECTS = ('decimal', 'email', 'statistics', 'smtplib')


class Digits(SklearnBackend):
    serves = [Serves('Choices', 'Image')]
    picture_size = (8, 8)


class Topics(SklearnBackend):
    serves = [Serves('Choices', 'Text')]


class Wines(SklearnBackend):
    serves = [Serves('Choices', 'Text'), Serves('Number', 'Text')]
    columns = ('alcohol', 'color_intensity', 'proline', 'cellar')


class Trees(Wines):
    def estimator(self):
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.feature_extraction import DictVectorizer
        from sklearn.pipeline import make_pipeline

        return make_pipeline(DictVectorizer(sparse=False), RandomForestClassifier(20, random_state=0))


def chosen(*labels, name='digit', to='image'):
    return [{'from_name': name, 'to_name': to, 'type': 'choices', 'value': {'choices': list(labels)}}]


def digit_examples(count=200):
    from sklearn.datasets import load_digits

    pictures, digits = load_digits(return_X_y=True)
    files = picture_files(**{str(place): pictures[place].reshape(8, 8) * 15 for place in range(count)})
    return [
        example_of(Task(place, {'image': f'/{place}.png'}, files=files), chosen(str(digits[place])), place % 5 == 0)
        for place in range(count)
    ]


class TestDigits(BackendContract):
    backend_class = Digits
    label_config = DIGITS

    def tasks(self):
        return [example.task for example in digit_examples(12)]

    def examples(self):
        return digit_examples()

    def test_it_learns(self, trained):
        assert trained.metrics['accuracy'] > 0.9
        assert trained.metrics['held_out_size'] == 40


WINE = on_text('<Choices name="kind" toName="text"><Choice value="0"/><Choice value="1"/><Choice value="2"/></Choices>')


def wine_examples(result):
    from sklearn.datasets import load_wine

    wine = load_wine(as_frame=True)
    rows = wine.frame.sample(frac=1, random_state=0)
    found = []
    for place, (_, row) in enumerate(rows.iterrows()):
        data = {name: str(row[name]) for name in Wines.columns if name in row}
        task = Task(place, {**data, 'cellar': 'north' if place % 2 else 'south', 'text': 'a wine'})
        found.append(example_of(task, result(row), place % 4 == 0))
    return found


class TestWines(BackendContract):
    backend_class = Wines
    label_config = WINE

    def tasks(self):
        return [example.task for example in self.examples()[:5]]

    def examples(self):
        return wine_examples(lambda row: chosen(str(int(row['target'])), name='kind', to='text'))

    def test_it_learns_from_numbers_that_a_table_brought_as_text(self, trained):
        assert trained.metrics['accuracy'] > 0.8


def fit(backend_class, xml, examples, directory):
    run = MemoryRun(directory)
    backend = loaded(backend_class, xml)
    metrics = backend.fit(MemoryDataset(examples), run)
    return run, metrics


def test_trees_are_kept_without_pickle_and_read_back(tmp_path):
    examples = wine_examples(lambda row: chosen(str(int(row['target'])), name='kind', to='text'))
    run, metrics = fit(Trees, WINE, examples, tmp_path / 'run')
    assert metrics['accuracy'] > 0.8
    backend = loaded(Trees, WINE, version=run.version())
    [prediction] = backend.predict([examples[0].task])
    assert prediction.probabilities['kind'].sum() == pytest.approx(1)


def test_numbers_are_learned(tmp_path):
    xml = on_text('<Number name="flavanoids" toName="text" min="0"/>')
    examples = wine_examples(
        lambda row: [
            {'from_name': 'flavanoids', 'to_name': 'text', 'type': 'number', 'value': {'number': row['flavanoids']}}
        ]
    )
    run, metrics = fit(Wines, xml, examples, tmp_path / 'run')
    truth = [example.annotation.result[0]['value']['number'] for example in examples]
    assert metrics['mean_absolute_error'] < np.abs(np.array(truth) - np.mean(truth)).mean()
    [prediction] = loaded(Wines, xml, version=run.version()).predict([examples[0].task])
    assert prediction.regions[0].type == 'number'


def sentences():
    """Lines of documentation with what they are about; a line may be about several."""
    import importlib

    for number, name in enumerate(SUBJECTS):
        text = importlib.import_module(name).__doc__ + str(importlib.import_module(name).__loader__.get_source(name))
        lines = [line.strip() for line in text.splitlines() if len(line.split()) > 6][:60]
        for place, line in enumerate(lines):
            yield number * 1000 + place, line, name


SEVERAL = on_text(
    '<Choices name="topic" toName="text" choice="multiple"><Choice value="numbers"/><Choice value="mail"/>'
    '<Choice value="rare"/></Choices>'
)


def topic_examples():
    found = []
    for number, line, name in sentences():
        labels = ['numbers' if name in ('decimal', 'statistics') else 'mail']
        found.append(
            example_of(Task(number, {'text': line}), chosen(*labels, name='topic', to='text'), number % 5 == 0)
        )
    return found


def test_several_choices_are_learned_with_a_label_that_nobody_gave(tmp_path):
    examples = topic_examples()
    run, metrics = fit(Topics, SEVERAL, examples, tmp_path / 'run')
    assert metrics['accuracy'] > 0.7
    backend = loaded(Topics, SEVERAL, version=run.version())
    [prediction] = backend.predict([Task(1, {'text': 'Send a message to the SMTP server of the mail host'})])
    assert prediction.regions[0].value == {'choices': ['mail']}
    assert prediction.probabilities['topic'][2] == 0


def test_tasks_that_cannot_be_read_are_reported_and_left_out(tmp_path):
    examples = topic_examples()
    bad = example_of(Task(9999, {'text': ' '}), chosen('mail', name='topic', to='text'))
    run, metrics = fit(Topics, SEVERAL, [*examples, bad], tmp_path / 'run')
    assert [task for task, _reason in run.skipped] == [9999]
    assert metrics['train_size'] + metrics['held_out_size'] == len(examples)


def test_one_label_alone_says_what_to_label(tmp_path):
    examples = [example for example in digit_examples(60) if example.annotation.labels('digit') == ['3']]
    with pytest.raises(TrainingError, match='have "3" for "digit"'):
        fit(Digits, DIGITS, examples, tmp_path / 'run')


def test_a_column_that_is_missing_or_no_number_fails_alone(tmp_path):
    examples = wine_examples(lambda row: chosen(str(int(row['target'])), name='kind', to='text'))
    run, _metrics = fit(Wines, WINE, examples, tmp_path / 'run')
    good = examples[0].task
    tasks = [Task(1, {'text': 'a'}), Task(2, {**good.data, 'proline': 'nan'}), good]
    missing, odd, made = loaded(Wines, WINE, version=run.version()).predict(tasks)
    assert isinstance(missing, TaskFailure)
    assert 'field "alcohol" is missing' in missing.reason
    assert 'must be finite' in odd.reason
    assert made.regions


def test_a_pickle_in_place_of_the_model_is_not_run(tmp_path):
    run, _metrics = fit(Digits, DIGITS, digit_examples(100), tmp_path / 'run')

    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath('trapped').write_text, ('x',))

    (run.directory / MODEL).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelVersionError, match='cannot be loaded'):
        loaded(Digits, DIGITS, version=run.version())
    assert not (tmp_path / 'trapped').exists()


class Shifted(Topics):
    """With a step of its own, which nobody knows to be harmless."""

    def estimator(self):
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import make_pipeline

        return make_pipeline(CountVectorizer(tokenizer=words_of, token_pattern=None), MultinomialNB())


def words_of(text):
    return text.lower().split()


def test_types_of_its_own_are_loaded_when_the_author_names_them(tmp_path):
    run, _metrics = fit(Shifted, SEVERAL, topic_examples(), tmp_path / 'run')
    with pytest.raises(ModelVersionError, match=rf'{words_of.__module__}\.words_of.*SklearnBackend\.trusted'):
        loaded(Shifted, SEVERAL, version=run.version())

    class Trusting(Shifted):
        trusted = (f'{words_of.__module__}.words_of',)

    assert loaded(Trusting, SEVERAL, version=run.version()).predict([Task(1, {'text': 'mail'})])[0].score > 0.5


def test_a_version_may_be_uploaded(tmp_path):
    run, _metrics = fit(Digits, DIGITS, digit_examples(100), tmp_path / 'run')
    names = [path.name for path in run.directory.iterdir()]
    assert sorted(names) == ['model.json', MODEL]
    # Raises for a file that may run code, and for formats that nobody has looked at.
    refuse_unsafe(run.directory, names, Digits.safe_files)


def test_labels_that_have_left_the_label_config_are_said(tmp_path, caplog):
    run, _metrics = fit(Digits, DIGITS, digit_examples(100), tmp_path / 'run')
    fewer = DIGITS.replace('<Choice value="9"/>', '')
    backend = loaded(Digits, fewer, version=run.version())
    assert '1 of 10 labels of the model are not in' in caplog.text
    assert backend.predict([digit_examples(10)[9].task])[0].regions


def test_training_on_a_control_without_targets_is_refused():
    class Boxes(SklearnBackend):
        serves = [Serves('RectangleLabels', 'Image')]

    from tests.adapters.test_function import CARS

    with pytest.raises(LabelConfigError, match='override fit'):
        Boxes.check(loaded(Digits, DIGITS).label_config.__class__(CARS))
