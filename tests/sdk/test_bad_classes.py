"""Classes that raise, answer oddly or miss something: each says what is wrong and what to do."""

import pytest

from ml_plugins import ParameterError, PredictionError, Task
from ml_plugins.exceptions import ModelVersionError, PluginBrokenError
from ml_plugins.sdk.building import check_imports, missing_requirements
from ml_plugins.sdk.sources import missing_imports, source_in_folder
from ml_plugins.testing import MemoryFiles
from tests.sdk.cases import choice, example, tasks, trained

PREDICTS = 'def predict(self, tasks, context=None, **kwargs):\n    '


@pytest.mark.parametrize(
    'body',
    [
        "def __init__(self, **kwargs):\n    raise OSError('no weights')",
        "def setup(self):\n    raise OSError('no weights')",
    ],
)
def test_what_the_start_raises_is_passed_on(load, written, body):
    with pytest.raises(OSError, match='no weights'):
        load(written(body))


def test_what_predict_and_fit_raise_is_passed_on(load, written, tmp_path):
    body = PREDICTS + "raise OSError('no GPU')\n\ndef fit(self, event, data, **kwargs):\n    raise OSError('no disk')"
    backend = load(written(body))
    with pytest.raises(OSError, match='no GPU'):
        backend.predict(tasks('x'))
    with pytest.raises(OSError, match='no disk'):
        trained(backend, tmp_path / 'run', [example(1, 'x', 'good')])


@pytest.mark.parametrize(
    ('answer', 'expected'),
    [
        ('None', [None, None]),
        ('[]', [None, None]),
        ("[{'result': [REGION], 'score': 0.5}, None]", [0.5, None]),
        ("[[{'result': [REGION], 'score': 0.2}, {'result': [REGION], 'score': 0.7}], {}]", [0.7, None]),
        ("{'predictions': [{'result': [REGION], 'score': 0.5}] * 2}", [0.5, 0.5]),
        ("ModelResponse(predictions=[{'result': [REGION], 'score': 0.5}] * 2, model_versions='v')", [0.5, 0.5]),
        ("[PredictionValue(result=[REGION], score=0.5, model_version='v')] * 2", [0.5, 0.5]),
        ("[{'result': [REGION], 'score': numpy.float32(0.5), 'model_version': Version(1, 0, 0)}] * 2", [0.5, 0.5]),
        ("({'result': [REGION], 'score': score} for score in numpy.array([0.5, 1.0]))", [0.5, 1.0]),
        ("[{'result': [REGION], 'score': 12.5}, {'result': [REGION], 'score': float('nan')}]", [None, None]),
    ],
)
def test_answers_of_every_form_are_understood(load, written, answer, expected):
    folder = written(PREDICTS + f'return {answer}')
    imports = (
        'import numpy\nfrom semver import Version\nfrom label_studio_ml.response import ModelResponse\n'
        'from label_studio_sdk.label_interface.objects import PredictionValue\n'
    )
    (folder / 'model.py').write_text(imports + (folder / 'model.py').read_text())
    backend = load(folder)
    found = backend.predict(tasks('x', 'y'))
    assert [item and item.score for item in found] == expected
    for item in filter(None, found):
        assert choice(item) == 'good'
        backend.label_config.check(item)


def test_numbers_of_numpy_become_plain_ones(load, written):
    region = "{**REGION, 'value': {'choices': numpy.array(['good'])}, 'score': numpy.float64(0.5), 'x': numpy.int64(3)}"
    folder = written('import numpy\n' + PREDICTS + f"numpy = self.numpy\n    return [{{'result': [{region}]}}]")
    [prediction] = load(folder).predict(tasks('x'))
    assert prediction.result() == [
        {
            'from_name': 'mood',
            'to_name': 'text',
            'type': 'choices',
            'value': {'choices': ['good']},
            'score': 0.5,
            'x': 3,
        }
    ]
    assert type(prediction.regions[0].extra['x']) is int


@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        ("[{'result': []}]", '1 results for 2 tasks'),
        ("'good'", 'returned str; it must return a list'),
        ('5', 'returned int'),
        ("{'results': []}", 'without "predictions"'),
        ("['good', 'bad']", 'must be a dict with a list "result"'),
        ("[{'result': ['good']}] * 2", 'a region that is a str'),
        ("[{'result': [{'from_name': 'mood'}]}] * 2", 'a region without "to_name"'),
        ("[{'result': [], 'score': 'high'}] * 2", "the score 'high', which is no number"),
    ],
)
def test_answers_that_cannot_be_understood_are_named(load, written, answer, message):
    with pytest.raises(PredictionError, match=message):
        load(written(PREDICTS + f'return {answer}')).predict(tasks('x', 'y'))


@pytest.mark.parametrize('value', ['3', '{}', 'None', 'self.model_version'])
def test_only_text_is_stored(load, written, value):
    backend = load(written(PREDICTS + f"self.set('limit', {value})"))
    with pytest.raises(ValueError, match=r"set\('limit', .*use str\(\) or json.dumps\(\)"):
        backend.predict(tasks('x'))


@pytest.mark.parametrize('place', ['setup', 'module', 'predict'])
def test_a_missing_environment_variable_is_named(load, written, monkeypatch, place):
    monkeypatch.delenv('MODEL_FLAVOUR', raising=False)
    read = "__import__('os').environ['MODEL_FLAVOUR']"
    body = {'setup': f'def setup(self):\n    {read}', 'module': f'FLAVOUR = {read}', 'predict': PREDICTS + read}[place]
    folder = written(body)
    with pytest.raises(PluginBrokenError, match='environment variable MODEL_FLAVOUR is not set'):
        load(folder).predict(tasks('x'))


def test_a_key_that_the_class_misses_is_its_own_affair(load, written):
    with pytest.raises(KeyError, match='colour'):
        load(written(PREDICTS + "return {}['colour']")).predict(tasks('x'))


def test_a_missing_package_is_named_with_the_command(load, written):
    folder = written('pass')
    path = folder / 'model.py'
    path.write_text(f'import no_such_package.part\n{path.read_text()}')
    with pytest.raises(PluginBrokenError, match=r'"no_such_package" is not installed.*pip install no_such_package'):
        load(folder)
    (folder / 'requirements.txt').write_text('# what it needs\nrequests\nno-such-package>=2 # really\n-r other.txt\n')
    with pytest.raises(PluginBrokenError, match=r'pip install -r .*requirements\.txt'):
        load(folder)
    source = source_in_folder('written', folder)
    assert missing_requirements(source) == ['no-such-package']
    with pytest.raises(PluginBrokenError, match=r'"no_such_package" is not installed.*pip install -r'):
        check_imports(source)


def test_what_may_never_be_imported_is_not_missed(written):
    text = """
    import json
    from label_studio_converter.utils import convert_annotation_to_yolo
    import helpers
    from label_studio_ml.model import LabelStudioMLBase
    try:
        import no_such_package
    except ImportError:
        pass

    class Model(LabelStudioMLBase):
        def predict(self, tasks, context=None, **kwargs):
            import no_such_package
    """
    folder = written(text=text, helpers='import no_such_helper\nimport model\n')
    assert missing_imports(source_in_folder('written', folder)) == ['no_such_helper']


def test_a_part_of_the_sdk_that_is_not_provided_is_named(load, written):
    with pytest.raises(PluginBrokenError, match='that part of the SDK is not provided here'):
        load(written('import label_studio_ml.server'))


def test_a_class_cannot_end_the_server(load, written):
    with pytest.raises(PluginBrokenError, match='tried to end the server'):
        load(written('def setup(self):\n    raise SystemExit(3)'))


@pytest.mark.parametrize('value', ['{', '[1]', '"text"'])
def test_extra_params_are_checked(load, written, value):
    with pytest.raises(ParameterError, match='is not an object in JSON'):
        load(written(PREDICTS + 'return []'), extra_params=value)


def test_a_damaged_version_is_refused(load, written, tmp_path):
    folder = written(PREDICTS + "return []\n\ndef fit(self, event, data, **kwargs):\n    self.set('a', 'b')")
    version = trained(load(folder), tmp_path / 'run', [example(1, 'x', 'good')]).version()
    (tmp_path / 'run' / 'sdk.json').write_text('{')
    with pytest.raises(ModelVersionError, match=r'sdk\.json cannot be read'):
        load(folder, version)


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(PluginBrokenError, match=r'has no model\.py'):
        source_in_folder('empty', tmp_path)
    (tmp_path / 'model.py').write_text('class Model:\n    pass\n')
    with pytest.raises(PluginBrokenError, match='has no subclass of LabelStudioMLBase'):
        source_in_folder('empty', tmp_path)
    (tmp_path / 'model.py').write_text('class Model(\n')
    with pytest.raises(PluginBrokenError, match=r'model\.py cannot be read'):
        source_in_folder('empty', tmp_path)
    with pytest.raises(PluginBrokenError, match='is no folder'):
        source_in_folder('empty', tmp_path / 'away')


def test_of_several_classes_one_is_named(written):
    text = """
    from label_studio_ml.model import LabelStudioMLBase

    class Base(LabelStudioMLBase):
        def fit(self, event, data):
            pass

    class One(Base):
        pass

    class Two(Base):
        pass
    """
    folder = written(text=text)
    with pytest.raises(PluginBrokenError, match=r'several subclasses of LabelStudioMLBase \(One, Two\); name one'):
        source_in_folder('several', folder)
    source = source_in_folder('several', folder, 'Two')
    assert (source.class_name, source.trains) == ('Two', True)
    with pytest.raises(PluginBrokenError, match='has no class Three'):
        source_in_folder('several', folder, 'Three')


def test_the_module_that_is_served_need_not_be_called_model(tmp_path):
    (tmp_path / 'reader.py').write_text(
        'from label_studio_ml.model import LabelStudioMLBase\nclass Reader(LabelStudioMLBase):\n    pass\n'
    )
    (tmp_path / '_wsgi.py').write_text('from label_studio_ml.api import init_app\nfrom reader import Reader\n')
    source = source_in_folder('reader', tmp_path)
    assert (source.module, source.class_name, source.trains) == ('reader', 'Reader', False)


def test_a_file_that_cannot_be_read_fails_its_own_task(load, written):
    body = """
    def predict(self, tasks, context=None, **kwargs):
        paths = [self.get_local_path(task['data']['text'], task_id=task['id']) for task in tasks]
        return [{'result': [REGION], 'score': len(open(path).read()) / 10} for path in paths]
    """
    backend = load(written(body))
    files = MemoryFiles({'/data/one.txt': b'12345'})
    given = [Task(1, {'text': '/data/away.txt'}, files=files), Task(2, {'text': '/data/one.txt'}, files=files)]
    failed, read = backend.predict(given)
    assert failed.task_id == 1 and '/data/away.txt' in failed.reason
    assert read.score == 0.5
