"""What all adapters share: reading tasks, calling the model with a batch, and turning what it says into regions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ml_plugins.adapters.converting import Converted, Naming, Subject, least
from ml_plugins.adapters.labels import LabelMatcher, parse_label_map
from ml_plugins.adapters.outputs import convert
from ml_plugins.adapters.values import Answer
from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import LabelConfigError, PredictionError, TaskDataError
from ml_plugins.label_config import Control, LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure

_TEXTS = ('Text', 'HyperText')
_FILES = ('Audio', 'Video', 'Pdf')
_COMPANIONS = ('rectangle', 'rectanglelabels', 'labels')


class Adapter(MLBackend):
    """Base of the adapters: a subclass says how the model is called, and gets tasks and regions done.

    Attributes:
        labels: The model's names for its outputs, in order; empty when they are those of the label config.
        label_map: Labels of label configs by the model's names, for those that differ; the parameter of that name,
            which a project sets, goes before it.
        control: The control that the model answers: the first one that fits `serves`. Set before `load`.
    """

    labels: ClassVar[Sequence[str]] = ()
    label_map: ClassVar[Mapping[str, str]] = {}
    params: ClassVar[Sequence[Param]] = (
        Param('label_map', '', 'Labels by the names that the model has for them: "automobile = Car; lorry = Truck".'),
        Param('threshold', 0.5, 'Least score of a region, and of a label of a multiple choice.', minimum=0, maximum=1),
    )

    control: Control

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Add what adapters need to the subclass's own parameters."""
        super().__init_subclass__(**kwargs)
        if 'params' in cls.__dict__:
            own = {param.name for param in cls.params}
            inherited = (param for base in cls.__mro__[1:] for param in getattr(base, 'params', ()))
            missing = {param.name: param for param in inherited if param.name not in own}
            cls.params = (*cls.params, *missing.values())

    # --- What a subclass may say -------------------------------------------------------------------------------------

    def load(self) -> None:
        """Load the model; called once, from `setup`."""

    def read(self, task: Task) -> Any:
        """What the model gets for a task.

        By default what the control's object shows: a text as `str`, a picture as an RGB ``PIL.Image``, a sound or a
        video as the path of a file; for other objects the value in the task's data.

        Raises:
            TaskDataError: It cannot be read; the task fails with that reason.
        """
        key, kind = self.control.value, self.control.object_tag
        if kind in _TEXTS:
            text = task.text(key)
            if not text.strip():
                raise TaskDataError(task.id, key, 'is an empty text')
            return text
        if kind == 'Image':
            return task.image(key)
        return task.path(key) if kind in _FILES else task.data.get(key)

    @abstractmethod
    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """What the model says about each of the inputs, in order; anything that `postprocess` takes."""

    def postprocess(self, output: Any, given: Any) -> Any:
        """Turn one output of the model into what `ml_plugins.adapters.convert` takes, or into an `Answer`.

        Args:
            output: What `run` returned for one input.
            given: That input, e.g. the picture.
        """
        return output

    def size(self, given: Any) -> tuple[int, int] | None:
        """Width and height of the picture that an input is; None when it is none."""
        found = getattr(given, 'size', None)
        return tuple(found) if isinstance(found, tuple) and len(found) == 2 else None

    # --- The contract ------------------------------------------------------------------------------------------------

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        super().check(label_config)
        cls.served_controls(label_config)

    @classmethod
    def served_controls(cls, label_config: LabelConfig) -> list[Control]:
        """Controls that fit `serves`, in the order of `serves`; those about single regions are left out.

        Raises:
            LabelConfigError: There is none.
        """
        pairs = [(pair.control, pair.object) for pair in cls.serves]
        found = [control for pair in pairs for control in label_config.controls(*pair)]
        found = found or ([] if pairs else list(label_config.all_controls))
        # A transcription of each region is made with its region; a choice about a region has nothing to be about.
        kept = [control for control in found if not control.is_per_region or control.type == 'textarea']
        if not kept:
            raise LabelConfigError(
                f'{cls.__name__} answers for whole tasks, and the label config has {label_config.summary()}'
                + (', with perRegion' if found else '')
            )
        return list({control.name: control for control in reversed(kept)}.values())[::-1]

    def setup(self) -> None:
        self.prepare()
        self.load()
        if self.labels:
            self.naming.matcher.check(self.labels)

    def prepare(self) -> None:
        """Find the controls, before the model is loaded; `fit` calls it too."""
        self.controls = self.served_controls(self.label_config)
        self.control = self.controls[0]
        self._namings: dict[str, Naming] = {}

    @property
    def naming(self) -> Naming:
        """How the model speaks about `control`."""
        return self.naming_of(self.control)

    def naming_of(self, control: Control) -> Naming:
        """How the model speaks about one of the controls."""
        if control.name not in self._namings:
            typed = parse_label_map(str(self.param_values.get('label_map', '')))
            # What the author mapped is about label configs in general; what the project maps must be in its own. A map
            # serves several controls: each takes what is about its labels.
            own = {name: label for name, label in self.label_map.items() if label in control.labels}
            if len(self.controls) > 1:
                typed = {name: label for name, label in typed.items() if label in control.labels}
            mapped = {**own, **typed}
            companions = [
                other
                for other in self.label_config.all_controls
                if other.type in _COMPANIONS and other.to_name == control.to_name
            ]
            threshold = float(self.param_values.get('threshold', 0.5))
            self._namings[control.name] = Naming(
                LabelMatcher(control, mapped), tuple(self.labels), threshold, tuple(companions)
            )
        return self._namings[control.name]

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        inputs: list[Any] = []
        answers: list[Any] = []
        places: list[int] = []
        for place, task in enumerate(tasks):
            try:
                inputs.append(self.read(task))
            except TaskDataError as error:
                answers.append(TaskFailure(task.id, str(error)))
            else:
                answers.append(None)
                places.append(place)
        outputs = self._checked(self.run(inputs), len(inputs)) if inputs else []
        for place, given, output in zip(places, inputs, outputs, strict=True):
            answers[place] = self._answer(tasks[place], given, output)
        return answers

    def _checked(self, outputs: Any, count: int) -> list[Any]:
        name = type(self).__name__
        if outputs is None or isinstance(outputs, (str, Mapping)) or not hasattr(outputs, '__len__'):
            raise PredictionError(f'{name}.run returned {type(outputs).__name__}; it must be a list, one item an input')
        if len(outputs) != count:
            raise PredictionError(f'{name}.run returned {len(outputs)} results for {count} inputs')
        return list(outputs)

    def _answer(self, task: Task, given: Any, output: Any) -> Prediction | TaskFailure | None:
        try:
            value = self.postprocess(output, given)
            if value is None or isinstance(value, (Prediction, TaskFailure)):
                return value
            return self._prediction(value, given)
        except PredictionError as error:
            return TaskFailure(task.id, str(error))

    def _prediction(self, value: Any, given: Any) -> Prediction:
        answer = value if isinstance(value, Answer) else Answer(value)
        subject = Subject(given if isinstance(given, str) else None, self.size(given))
        converted: dict[str, Converted] = {
            control.name: convert(said, self.naming_of(control), subject)
            for control, said in self._by_control(answer.values)
        }
        scores = [found.score for found in converted.values()]
        probabilities = {name: found.probabilities for name, found in converted.items()}
        probabilities = {name: row for name, row in probabilities.items() if row is not None}
        return Prediction(
            regions=[region for found in converted.values() for region in found.regions],
            score=least(scores) if answer.score is None else answer.score,
            probabilities=probabilities or None,
            embedding=answer.embedding,
            members=answer.members,
            log_probabilities=answer.log_probabilities,
        )

    def _by_control(self, values: Any) -> list[tuple[Control, Any]]:
        """Values with their controls; a mapping by names of controls is one value for each."""
        by_name = {control.name: control for control in self.label_config.all_controls}
        if isinstance(values, Mapping) and values and all(name in by_name for name in values):
            return [(by_name[name], said) for name, said in values.items()]
        return [(self.control, values)]
