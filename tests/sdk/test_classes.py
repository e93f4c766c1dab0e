"""Classes of both generations of the SDK, loaded from their folders without a server."""

import sys

import pytest

from ml_plugins import DatasetChanges, Interaction, TrainingError
from ml_plugins.sdk.host import StoredValue
from tests.sdk.cases import BACKENDS, choice, example, tasks, trained

LABELED = [example(1, 'a fine day', 'good'), example(2, 'rain again', 'bad'), example(3, 'fine indeed', 'good')]


def test_a_class_of_version_two_answers(load):
    backend = load(BACKENDS / 'words')
    [prediction] = backend.predict(tasks('a fine day'))
    assert (choice(prediction), prediction.score) == ('bad', 0.0)
    assert backend.can_fit() and backend.is_interactive


def test_a_class_of_version_one_learns_and_answers(load, tmp_path):
    untrained = load(BACKENDS / 'votes')
    assert choice(untrained.predict(tasks('anything'))[0]) == 'bad'
    assert untrained.is_interactive is False
    run = trained(untrained, tmp_path / 'run', LABELED)
    assert run.returned == {'labels': 3.0}
    # A version is published in another folder than it was trained in.
    published = tmp_path / 'versions' / '1'
    published.parent.mkdir()
    run.directory.rename(published)
    run.directory = published
    assert choice(load(BACKENDS / 'votes', run.version()).predict(tasks('anything'))[0]) == 'good'


def test_siblings_of_the_same_name_do_not_meet(load):
    """Both have `model.py` and `utils.py`; `model` and `utils` stay free for others."""
    words, votes = load(BACKENDS / 'words'), load(BACKENDS / 'votes')
    assert choice(words.predict(tasks('rain'))[0]) == 'bad'
    assert choice(votes.predict(tasks('rain'))[0]) == 'bad'
    assert {'model', 'utils', 'label_studio_ml'}.isdisjoint(sys.modules)


def test_an_installed_sdk_changes_nothing(load, tmp_path, monkeypatch):
    """The real one makes a database in the current folder when it is imported, among other things."""
    (tmp_path / 'label_studio_ml').mkdir()
    (tmp_path / 'label_studio_ml' / '__init__.py').write_text('raise RuntimeError("the installed SDK is imported")')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert choice(load(BACKENDS / 'words').predict(tasks('rain'))[0]) == 'bad'


def test_each_model_has_globals_of_its_own(load, written):
    folder = written(
        text="""
        from label_studio_ml.model import LabelStudioMLBase

        calls = 0

        class Model(LabelStudioMLBase):
            def predict(self, tasks, context=None, **kwargs):
                global calls
                calls += 1
                return [{'result': [], 'score': calls / 10} for _ in tasks]
        """
    )
    first, second = load(folder), load(folder)
    assert [first.predict(tasks('x'))[0].score for _ in range(3)] == [0.1, 0.2, 0.3]
    assert second.predict(tasks('x'))[0].score == 0.1


def test_imports_inside_a_folder_are_its_own(load, written):
    folder = written(
        text="""
        import json.decoder
        import parts.inner as inner
        import parts
        from parts import outer
        from label_studio_ml.model import LabelStudioMLBase

        class Model(LabelStudioMLBase):
            def predict(self, tasks, context=None, **kwargs):
                from helpers import late
                assert (inner.NAME, parts.outer is outer, outer.NAME) == ('inner', True, 'outer inner')
                assert json.decoder.JSONDecodeError
                return [{'result': [], 'score': late()} for _ in tasks]
        """,
        helpers='def late():\n    return 0.25\n',
    )
    (folder / 'parts').mkdir()
    (folder / 'parts' / 'inner.py').write_text("NAME = 'inner'\n")
    (folder / 'parts' / 'outer.py').write_text("from .inner import NAME as INNER\nNAME = f'outer {INNER}'\n")
    assert load(folder).predict(tasks('x'))[0].score == 0.25


def test_a_click_reaches_the_class_as_context(load):
    region = {'from_name': 'mood', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['good']}}
    [prediction] = load(BACKENDS / 'words').predict(tasks('rain'), Interaction([region]))
    assert choice(prediction) == 'good'


def test_extra_params_and_the_label_config_are_there(load, written):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        assert self.get_first_tag_occurence('Choices', 'Text') == ('mood', 'text', 'text')
        assert self.parsed_label_config['mood']['labels'] == ['bad', 'good']
        assert self.label_config.startswith('<View>') and self.project_id == '1'
        assert self.build_label_map('mood', ['GOOD', 'other']) == {'GOOD': 'good'}
        return [{'result': [REGION], 'score': self.extra_params['score']} for _ in tasks]
    """
    assert load(written(body), extra_params='{"score": 0.5}').predict(tasks('x'))[0].score == 0.5


def test_tokens_need_not_be_set(load, written, monkeypatch):
    for name in ('LABEL_STUDIO_API_KEY', 'LABEL_STUDIO_ACCESS_TOKEN', 'MODEL_DIR'):
        monkeypatch.delenv(name, raising=False)
    folder = written(
        """
        KEYS = {os.environ['LABEL_STUDIO_API_KEY'], os.environ['LABEL_STUDIO_ACCESS_TOKEN']}

        def predict(self, tasks, context=None, **kwargs):
            assert {self.get_label_studio_access_token()} == self.KEYS
            assert 'LABEL_STUDIO_API_KEY' not in os.environ and 'MODEL_DIR' not in os.environ
            return [{'result': [REGION]} for _ in tasks]
        """
    )
    path = folder / 'model.py'
    path.write_text(f'import os\n{path.read_text()}')
    assert choice(load(folder).predict(tasks('x'))[0]) == 'good'


# --- Values -----------------------------------------------------------------------------------------------------------


def test_values_are_the_projects_and_everybody_sees_them(load, written, memory_host):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        before = self.get('seen') or '0'
        self.set('seen', str(int(before) + len(tasks)))
        return [{'result': [], 'score': int(before) / 10} for _ in tasks]
    """
    folder = written(body)
    one, other = load(folder), load(folder)
    one.predict(tasks('x', 'y'))
    assert other.predict(tasks('x'))[0].score == 0.2
    assert memory_host.value('written', 1, 'seen') == StoredValue('3')
    assert one.model.has('seen') and not one.model.has('unseen')


def test_a_version_keeps_what_its_training_stored(load, written, tmp_path):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        return [{'result': [], 'score': float(self.get('score') or 0)} for _ in tasks]

    def fit(self, event, data, **kwargs):
        self.set('score', str(len(data['task']['data']['text']) / 10))
    """
    folder = written(body)
    untrained = load(folder)
    first = trained(untrained, tmp_path / 'one', [example(1, 'ab', 'good')]).version(1)
    second = trained(untrained, tmp_path / 'two', [example(1, 'abcd', 'good')], first).version(2)
    assert [load(folder, version).predict(tasks('x'))[0].score for version in (first, second)] == [0.2, 0.4]
    # Where no version has a value of its own, the newest counts at once.
    assert untrained.predict(tasks('x'))[0].score == 0.4


def test_versions_can_be_counted_up(load, written):
    backend = load(written('def predict(self, tasks, context=None, **kwargs):\n    return []'))
    assert str(backend.model.model_version) == '0.0.1'
    assert backend.model.bump_model_version() == '0.0.2' == backend.model.get('model_version')
    backend.model.set('model_version', 'newest')
    with pytest.raises(ValueError, match="'newest' has no three numbers"):
        backend.model.bump_model_version()


# --- Events -----------------------------------------------------------------------------------------------------------

RECORD = """
def predict(self, tasks, context=None, **kwargs):
    return []

def fit(self, event, data, **kwargs):
    about = data.get('task', {}).get('id')
    self.set('events', (self.get('events') or '') + f'{event}:{about} ')
"""


@pytest.mark.parametrize(
    ('mode', 'expected'),
    [
        ('training', 'ANNOTATION_DELETED:9 START_TRAINING:3'),
        ('every', 'ANNOTATION_DELETED:9 ANNOTATION_UPDATED:1 ANNOTATION_CREATED:2 START_TRAINING:3'),
    ],
)
def test_events_reach_fit(load, written, tmp_path, memory_host, mode, expected):
    backend = load(written(RECORD), events=mode)
    version = trained(backend, tmp_path / 'one', LABELED).version()
    memory_host.store('written', 1, 'events', StoredValue(''))
    changes = DatasetChanges(added=[2], changed=[1], removed=[9])
    trained(backend, tmp_path / 'two', LABELED, version, changes)
    assert memory_host.value('written', 1, 'events').value.strip() == expected


def test_a_changed_label_config_is_an_event_for_who_asks_for_it(load, written, tmp_path, memory_host):
    backend = load(written("TRAIN_EVENTS = ('PROJECT_UPDATED',)\n" + RECORD))
    version = trained(backend, tmp_path / 'one', LABELED).version()
    state = tmp_path / 'one' / 'sdk.json'
    state.write_text(state.read_text().replace('<View>', '<View class=\\"other\\">'))
    trained(backend, tmp_path / 'two', LABELED, version)
    assert memory_host.value('written', 1, 'events').value.split() == [
        'START_TRAINING:3',
        'PROJECT_UPDATED:None',
        'START_TRAINING:3',
    ]


def test_training_goes_on_from_the_files_of_the_version_before(load, written, tmp_path):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        return [{'result': [], 'score': len(open(os.path.join(MODEL_DIR, 'log')).read()) / 10} for _ in tasks]

    def fit(self, event, data, **kwargs):
        with open(os.path.join(MODEL_DIR, 'log'), 'a') as file:
            file.write('x')
    """
    folder = written(body)
    path = folder / 'model.py'
    path.write_text(f"import os\nMODEL_DIR = os.environ['MODEL_DIR']\n{path.read_text()}")
    backend = load(folder)
    first = trained(backend, tmp_path / 'one', LABELED).version(1)
    second = trained(backend, tmp_path / 'two', LABELED, first).version(2)
    scores = [load(folder, version).predict(tasks('x'))[0].score for version in (first, second)]
    assert scores == [0.1, 0.2]


def test_a_training_that_leaves_nothing_is_no_version(load, written, tmp_path):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        return []

    def fit(self, event, data, **kwargs):
        if event != 'ANNOTATION_CREATED':
            return
        self.set('learned', 'yes')
    """
    folder = written(body)
    with pytest.raises(TrainingError, match=r'learned nothing.*START_TRAINING'):
        trained(load(folder), tmp_path / 'one', LABELED)
    trained(load(folder, events='every'), tmp_path / 'two', LABELED)
