"""The demo plugin passes the contract that authors are given, on texts and on pictures."""

import io
import json

import pytest

from ml_plugins import (
    BackendContext,
    DatasetChanges,
    Interaction,
    Task,
    TaskFailure,
    VersionFiles,
    parse_label_config,
)
from ml_plugins.runtime import ModelSpec, Runtime
from ml_plugins.testing import BackendContract, MemoryDataset, MemoryFiles, MemoryRun, check_backend, example_of

TEXT_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
IMAGE_CONFIG = (
    '<View><Image name="image" value="$image"/><Choices name="light" toName="image">'
    '<Choice value="dark"/><Choice value="bright"/></Choices></View>'
)


def choice(name, to_name, label):
    return [{'from_name': name, 'to_name': to_name, 'type': 'choices', 'value': {'choices': [label]}}]


def picture(level):
    from PIL import Image

    content = io.BytesIO()
    Image.new('RGB', (8, 8), (level, level, level)).save(content, 'PNG')
    return content.getvalue()


class DemoContract(BackendContract):
    pass


@pytest.fixture(autouse=True)
def _demo_is_importable(demo_backend):
    DemoContract.backend_class = demo_backend


class TestDemoOnTexts(DemoContract):
    label_config = TEXT_CONFIG

    def tasks(self):
        return [Task(1, {'text': 'a sunny day'}), Task(2, {'text': 'a rainy day'})]

    def examples(self):
        texts = [('sunny walk', 'good'), ('rainy walk', 'bad'), ('sunny', 'good'), ('rainy', 'bad')]
        return [
            example_of(Task(index, {'text': text}), choice('mood', 'text', label), held_out=index > 2)
            for index, (text, label) in enumerate(texts, 1)
        ]

    def test_learns(self, trained):
        assert trained.metrics['accuracy'] == 1.0
        found = self.predictions(self.load(trained), self.tasks())
        assert [item.regions[0].value['choices'] for item in found] == [['good'], ['bad']]

    def test_goes_on_where_the_version_before_ended(self, trained, tmp_path):
        more = [
            *self.examples(),
            example_of(Task(9, {'text': 'sunny holiday'}), choice('mood', 'text', 'good')),
        ]
        counts = {}
        for name, changes in (
            ('on', DatasetChanges(added=(9,))),
            ('over', DatasetChanges(added=(9,), changed=(1,))),
            ('unknown', None),
        ):
            run = MemoryRun(tmp_path / name, previous=trained)
            self.fit(MemoryDataset(more, changes), run)
            counts[name] = json.loads((run.directory / 'counts.json').read_text())
            said = 'words of 1 tasks counted, on top' if name == 'on' else 'words of 3 tasks counted, from scratch'
            assert any(line.startswith(said) for line in run.log_lines)
        assert counts['on'] == counts['over'] == counts['unknown']
        # Counted in another way, the version before is of no use.
        run = MemoryRun(tmp_path / 'case', previous=trained)
        self.fit(MemoryDataset(more, DatasetChanges(added=(9,))), run, lower_case=False)
        assert any('from scratch' in line for line in run.log_lines)

    def test_another_attempt_does_not_count_again(self, tmp_path):
        kept = tmp_path / 'kept'
        runs = [MemoryRun(tmp_path / name, checkpoint_directory=kept) for name in ('first', 'second')]
        for run in runs:
            self.fit(MemoryDataset(self.examples()), run)
        assert ['counted already' in run.log_lines[0] for run in runs] == [False, True]
        assert len({(run.directory / 'counts.json').read_text() for run in runs}) == 1

    def fit(self, dataset, run, **params):
        context = BackendContext(self.parsed_config(), params, run.previous)
        return self.backend_class(context).fit(dataset, run)

    def test_memory_grows_with_what_was_learned(self, trained):
        assert self.load().memory_bytes() == 0
        assert self.load(trained).memory_bytes() > 0

    def test_a_full_batch_does_not_wait_for_its_delay(self):
        # Seven of eight would wait; with a delay of minutes that shows.
        patient = type('Patient', (self.backend_class,), {'max_delay': 60})
        spec = ModelSpec('demo', 1, self.label_config, lambda: patient)
        runtime = Runtime()
        futures = [runtime.submit(spec, self.tasks()[:1]) for _ in range(patient.max_batch)]
        assert all(future.result(30)[0].regions for future in futures)
        [model] = runtime.models()
        assert model.stats.mean_batch == patient.max_batch
        runtime.close()

    def test_one_of_several_choices_is_right(self):
        measure = self.backend_class.agreement
        both = [{**choice('mood', 'text', 'good')[0], 'value': {'choices': ['good', 'bad']}}]
        assert measure(choice('mood', 'text', 'good'), both) == 1.0
        assert measure(choice('mood', 'text', 'good'), choice('mood', 'text', 'bad')) == 0.0
        assert measure([], []) == 1.0
        assert measure([], both) == measure(both, []) == 0.0

    def test_click_is_answered(self, backend):
        clicked = Interaction(choice('mood', 'text', 'bad'))
        (item,) = backend.predict(self.tasks()[:1], clicked)
        assert item.regions[0].value == {'choices': ['bad']}


class TestDemoOnPictures(DemoContract):
    label_config = IMAGE_CONFIG
    files = MemoryFiles({'dark.png': picture(10), 'bright.png': picture(240)})

    def tasks(self):
        return [Task(index, {'image': name}, files=self.files) for index, name in enumerate(self.files.content, 1)]

    def examples(self):
        return [
            example_of(task, choice('light', 'image', label))
            for task, label in zip(self.tasks(), ('dark', 'bright'), strict=True)
        ]

    def test_unreadable_example_is_skipped(self, tmp_path):
        run = MemoryRun(tmp_path / 'work')
        broken = example_of(Task(9, {'image': 'gone.png'}, files=self.files), choice('light', 'image', 'dark'))
        self.train(run, [*self.examples(), broken])
        assert [task_id for task_id, _ in run.skipped] == [9]

    def test_reason_names_the_task(self, backend):
        (item,) = backend.predict([Task(7, {'image': 'gone.png'}, files=self.files)])
        assert isinstance(item, TaskFailure)
        assert 'Task 7' in item.reason


def test_check_backend_lists_every_problem(demo_backend):
    class Bad(demo_backend):
        serves = ('Choices',)
        max_batch = 0
        max_delay = -1
        needs_training = True

        def predict(self, one):
            return None

        def agreement(self, answer, truth):
            return 1.0

    problems = '\n'.join(check_backend(Bad))
    for words in ('serves holds', 'max_batch', 'max_delay is -1', 'predict() must take', 'agreement() must be a'):
        assert words in problems
    assert check_backend(str) == ["<class 'str'> is not a subclass of ml_plugins.MLBackend"]


@pytest.mark.parametrize(
    ('members', 'test', 'words'),
    [
        ({'memory_bytes': lambda self: 'much'}, 'test_memory_is_a_number_of_bytes', "returned 'much'"),
        (
            {'predict': lambda self, tasks, interaction=None: [None] * min(len(tasks), 7)},
            'test_a_full_batch_is_predicted',
            'got a full batch of 8 tasks and returned 7 items',
        ),
        (
            {'agreement': classmethod(lambda cls, answer, truth: 0.5)},
            'test_agreement_is_a_share',
            'agreement\\(\\) of an answer with itself is 0.5, not 1',
        ),
    ],
    ids=['memory', 'full batch', 'agreement'],
)
def test_kit_finds_a_backend_that_breaks_the_contract(demo_backend, tmp_path, members, test, words):
    kit = TestDemoOnTexts()
    kit.backend_class = type('Bad', (demo_backend,), members)
    with pytest.raises(AssertionError, match=words):
        getattr(kit, test)(kit.load(None, tmp_path))


def test_the_demo_tells_of_labels_that_are_gone(demo_backend, tmp_path, caplog):
    (tmp_path / 'counts.json').write_text(json.dumps({'sunny': {'good': 2, 'lovely': 1}}))
    version = VersionFiles(1, tmp_path)
    demo_backend(BackendContext(parse_label_config(TEXT_CONFIG), version=version)).setup()
    assert 'what it learned of lovely is left out' in caplog.text
