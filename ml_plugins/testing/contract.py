"""The contract as tests: subclass `BackendContract` in a plugin's tests and run pytest.

Needs pytest, and neither a server nor a database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ml_plugins.backend import BackendContext, MLBackend
from ml_plugins.exceptions import LabelConfigError, TrainingCancelledError, TrainingError
from ml_plugins.label_config import LabelConfig, parse_label_config
from ml_plugins.testing.checks import check_backend
from ml_plugins.testing.fakes import MemoryDataset, MemoryFiles, MemoryRun
from ml_plugins.types import Example, Interaction, Prediction, Task, TaskFailure, VersionFiles

# Tags whose field points at a file, so that it may turn out to be unreadable.
_FILE_TAGS = frozenset({'image', 'audio', 'video', 'pdf'})
# A full batch larger than this would make the tests slow, and shows no more.
_LARGEST_BATCH = 64
# One of these has a pair of tags that the backend does not serve.
_OTHER_CONFIGS = (
    '<View><Text name="other_text" value="$other"/><Rating name="other_rating" toName="other_text"/></View>',
    '<View><Audio name="other_audio" value="$other"/><TextArea name="other_area" toName="other_audio"/></View>',
    '<View><Image name="other_image" value="$other"/><KeyPoint name="other_point" toName="other_image"/></View>',
)


class BackendContract:
    """Tests that every backend passes; a subclass names its own.

    Attributes:
        backend_class: The backend under test.
        label_config: XML of a label config that it serves.
        params: Values of parameters that differ from the defaults, e.g. fewer epochs.
        repeatable: Whether the same task gives the same regions twice; False for models that sample.
        interaction: What an annotator drew, for backends that answer nothing without it; tasks are then predicted one
            by one.
    """

    backend_class: ClassVar[type[MLBackend]]
    label_config: ClassVar[str]
    params: ClassVar[Mapping[str, Any]] = {}
    repeatable: ClassVar[bool] = True
    interaction: ClassVar[Interaction | None] = None

    def tasks(self) -> Sequence[Task]:
        """At least two tasks that the backend can predict; give them `MemoryFiles` where they point at files."""
        raise NotImplementedError('define tasks() in the test class: it returns at least two tasks')

    def examples(self) -> Sequence[Example]:
        """Labeled tasks to train on, some of them held out; needed only where the backend trains."""
        raise NotImplementedError('define examples() in the test class: it returns labeled tasks to train on')

    # --- Helpers -----------------------------------------------------------------------------------------------------

    def parsed_config(self) -> LabelConfig:
        """The label config, parsed."""
        return parse_label_config(self.label_config)

    def load(self, version: VersionFiles | None = None, cache_directory: Path | None = None) -> MLBackend:
        """A new instance, set up as a host does it."""
        context = BackendContext(self.parsed_config(), self.params, version, cache_directory=cache_directory)
        backend = self.backend_class(context)
        backend.setup()
        return backend

    def train(self, run: MemoryRun, examples: Sequence[Example] | None = None) -> Mapping[str, float]:
        """What ``fit`` returns, on an instance of its own as in a worker."""
        found = self.examples() if examples is None else examples
        context = BackendContext(self.parsed_config(), self.params, cache_directory=run.cache_directory)
        return self.backend_class(context).fit(MemoryDataset(found), run)

    def predictions(self, backend: MLBackend, tasks: Sequence[Task]) -> list[Prediction | TaskFailure | None]:
        """One item a task, in batches of at most ``max_batch``, or one by one with the test class's interaction."""
        size = 1 if self.interaction else self.backend_class.max_batch
        found: list[Prediction | TaskFailure | None] = []
        for start in range(0, len(tasks), size):
            batch = tasks[start : start + size]
            items = list(backend.predict(batch, self.interaction))
            assert len(items) == len(batch), f'predict() got {len(batch)} tasks and returned {len(items)} items'
            found.extend(items)
        return found

    @pytest.fixture
    def trained(self, tmp_path_factory: pytest.TempPathFactory) -> VersionFiles | None:
        """A version made by ``fit``, once for the class; None for a backend that does not train."""
        if not self.backend_class.can_fit():
            return None
        test_class = type(self)
        if '_version' not in test_class.__dict__:
            run = MemoryRun(tmp_path_factory.mktemp('fit') / 'work')
            test_class._version = run.version(metrics=self.train(run))
        return test_class._version

    @pytest.fixture
    def backend(self, trained: VersionFiles | None, tmp_path: Path) -> Any:
        """A loaded backend that can predict."""
        version = trained if self.backend_class.needs_training else None
        backend = self.load(version, tmp_path)
        yield backend
        backend.close()

    # --- Tests -------------------------------------------------------------------------------------------------------

    def test_class_is_well_formed(self) -> None:
        """Attributes, parameters and signatures are what a host expects."""
        assert check_backend(self.backend_class) == []

    def test_check_accepts_the_label_config(self) -> None:
        """The label config of the test class is served."""
        self.backend_class.check(self.parsed_config())

    def test_check_names_the_missing_tag(self) -> None:
        """A label config without the tags is refused, and the message names one of them."""
        pairs = {(pair.control.lower(), pair.object.lower()) for pair in self.backend_class.serves}
        if not pairs:
            pytest.skip('it says nothing about the tags it serves')
        for xml in _OTHER_CONFIGS:
            other = parse_label_config(xml)
            if pairs.isdisjoint((item.type, item.object_tag.lower()) for item in other.all_controls):
                with pytest.raises(LabelConfigError) as caught:
                    self.backend_class.check(other)
                message = str(caught.value).lower()
                assert any(control in message for control, _ in pairs), f'no tag is named in: {message}'
                return
        pytest.skip('it serves every label config that is tried here')

    def test_predicts_one_item_a_task(self, backend: MLBackend) -> None:
        """A batch gives one `Prediction`, `TaskFailure` or None a task."""
        tasks = self.tasks()
        assert len(tasks) >= 2, 'tasks() must return at least two tasks'
        for item in self.predictions(backend, tasks):
            assert item is None or isinstance(item, (Prediction, TaskFailure)), f'predict() returned {item!r}'

    def test_predictions_fit_the_label_config(self, backend: MLBackend) -> None:
        """Regions use names and labels of the label config, and scores are in 0..1."""
        found = self.predictions(backend, self.tasks())
        made = [item for item in found if isinstance(item, Prediction)]
        assert made, f'no task of tasks() was predicted: {found}'
        for item in made:
            self.parsed_config().check(item)

    def test_untrained_it_gives_embeddings_alone(self, tmp_path: Path) -> None:
        """With ``embeds_untrained``, predictions without a version have an embedding and no regions."""
        if not self.backend_class.embeds_untrained:
            pytest.skip('it says nothing of embeddings without a version')
        untrained = self.load(None, tmp_path)
        made = [item for item in self.predictions(untrained, self.tasks()) if isinstance(item, Prediction)]
        untrained.close()
        assert made, 'embeds_untrained is set, and no task got an embedding'
        for item in made:
            assert item.embedding is not None, f'without a version there is no embedding: {item!r}'
            assert not item.regions, f'without a version there are regions, which nobody would see: {item!r}'

    def test_one_task_alone_is_predicted(self, backend: MLBackend) -> None:
        """Opening a task predicts a batch of one."""
        assert len(backend.predict(self.tasks()[:1])) == 1

    def test_a_full_batch_is_predicted(self, backend: MLBackend) -> None:
        """A batch of ``max_batch`` tasks, the largest that a host hands in, gives one item a task."""
        size = min(backend.max_batch, _LARGEST_BATCH)
        tasks = list(islice(cycle(self.tasks()), size))
        items = list(backend.predict(tasks))
        assert len(items) == size, f'predict() got a full batch of {size} tasks and returned {len(items)} items'

    def test_memory_is_a_number_of_bytes(self, backend: MLBackend) -> None:
        """``memory_bytes`` gives a number of bytes, or None to have them measured."""
        taken = backend.memory_bytes()
        assert taken is None or (isinstance(taken, int) and taken >= 0), f'memory_bytes() returned {taken!r}'

    def test_prediction_is_repeatable(self, backend: MLBackend) -> None:
        """The same task gives the same regions again."""
        if not self.repeatable:
            pytest.skip('the test class says repeatable = False')
        first, second = (self.predictions(backend, self.tasks()[:1])[0] for _ in range(2))
        assert type(first) is type(second)
        if isinstance(first, Prediction):
            labels = [[region.value for region in item.regions] for item in (first, second)]
            assert labels[0] == labels[1]

    def test_agreement_is_a_share(self, backend: MLBackend) -> None:
        """``agreement`` gives a number in 0..1, and 1 for an answer held against itself."""
        made = [item for item in self.predictions(backend, self.tasks()) if isinstance(item, Prediction)]
        for result in (item.result() for item in made):
            same, alone = self.backend_class.agreement(result, result), self.backend_class.agreement(result, [])
            assert same == 1, f'agreement() of an answer with itself is {same!r}, not 1'
            assert 0 <= alone <= 1, f'agreement() with an empty result is {alone!r}, not a number in 0..1'

    def test_unreadable_data_is_a_failure_of_its_task(self, backend: MLBackend) -> None:
        """A file that cannot be read fails its own task and no other."""
        if not any(control.object_tag.lower() in _FILE_TAGS for control in self.parsed_config().all_controls):
            pytest.skip('the label config shows no files')
        good, *others = self.tasks()
        bad = replace(others[0], files=MemoryFiles())
        items = self.predictions(backend, [bad, good])
        assert isinstance(items[0], TaskFailure), f'an unreadable file gave {items[0]!r}, not a TaskFailure'
        assert items[0].reason, 'the TaskFailure gives no reason'
        assert isinstance(items[1], Prediction), 'the task next to an unreadable one was not predicted'

    def test_fit_leaves_files_and_metrics(self, trained: VersionFiles | None) -> None:
        """``fit`` returns finite numbers and leaves files in the run's directory."""
        self._needs_fit()
        assert trained is not None
        assert any(path.is_file() for path in trained.path.rglob('*')), 'fit() left no file in run.directory'
        for name, value in trained.metrics.items():
            assert isinstance(name, str) and math.isfinite(value), f'metric {name!r} is {value!r}'

    def test_new_instance_loads_the_version(self, trained: VersionFiles | None, tmp_path: Path) -> None:
        """What ``fit`` left is loaded by another instance, which predicts with it."""
        self._needs_fit()
        backend = self.load(trained, tmp_path)
        made = [item for item in self.predictions(backend, self.tasks()) if isinstance(item, Prediction)]
        backend.close()
        assert made, 'with the trained version no task was predicted'
        for item in made:
            self.parsed_config().check(item)

    def test_fit_stops_when_cancelled(self, tmp_path: Path) -> None:
        """Cancel ends ``fit`` at its next report of progress."""
        self._needs_fit()
        run = MemoryRun(tmp_path / 'work')
        run.stop()
        with pytest.raises(TrainingCancelledError):
            self.train(run)

    def test_fit_without_examples_says_why(self, tmp_path: Path) -> None:
        """Nothing to learn from is a `TrainingError` with a sentence."""
        self._needs_fit()
        with pytest.raises(TrainingError) as caught:
            self.train(MemoryRun(tmp_path / 'work'), examples=())
        assert str(caught.value), 'the TrainingError has no message'

    def _needs_fit(self) -> None:
        if not self.backend_class.can_fit():
            pytest.skip('it does not train')
