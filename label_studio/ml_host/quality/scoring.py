"""Score an answer against the truth the way its plugin does, on the controls that the plugin answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from label_studio.ml_host.quality.answers import Answers, HeldOutAnswer, Result, hash_of
from label_studio.ml_host.quality.predicting import Said
from ml_plugins.agreement import agreement, controls_of
from ml_plugins.backend import MLBackend
from ml_plugins.exceptions import LabelConfigError
from ml_plugins.failures import Stage, record_failure
from ml_plugins.label_config import parse_label_config
from ml_plugins.registry import registry

logger = logging.getLogger(__name__)

Controls = frozenset[str] | None


class Scorer:
    """Agreement of a backend's answers with what people say.

    Args:
        backend: The plugin's name.
        backend_class: Its class, with the hook ``agreement``.
        label_config: The project's label config as XML.
    """

    def __init__(self, backend: str, backend_class: type[MLBackend], label_config: str, project_id: int) -> None:
        self._backend = backend
        self._class = backend_class
        self._label_config = label_config
        self._project_id = project_id
        self._hook_works = True

    def counted(self, answers: Iterable[Result]) -> Controls:
        """The controls that some answer uses; where none uses any, those that the backend could fill; None for all.

        What people say with other controls, such as a comment, is no business of the model's.
        """
        return frozenset().union(*map(controls_of, answers)) or self._servable()

    def answers(self, said: Said, truths: Mapping[int, Result]) -> Answers:
        """What a version said, scored; tasks that nobody could answer are left out."""
        results = {task_id: item.result() if item else [] for task_id, item in said.predictions.items()}
        controls = self.counted(results.values())
        found: dict[int, HeldOutAnswer] = {}
        for task_id, result in results.items():
            prediction, truth = said.predictions[task_id], truths[task_id]
            share = self.agreement(result, truth, controls)
            score = None if prediction is None or prediction.score is None else float(prediction.score)
            found[task_id] = HeldOutAnswer(task_id, list(truth), result, share, hash_of(truth), score)
        for task_id in said.errors:
            truth = truths[task_id]
            found[task_id] = HeldOutAnswer(task_id, list(truth), [], 0.0, hash_of(truth), failed=True)
        return Answers(controls, found)

    def agreement(self, answer: Result, truth: Result, controls: Controls) -> float:
        """How far both agree on some controls, 0..1; what the plugin's own measure cannot do, the common one does."""
        answer, truth = _only(answer, controls), _only(truth, controls)
        if self._hook_works:
            try:
                return _share(self._class.agreement(answer, truth))
            except Exception as error:
                self._hook_works = False
                logger.warning('%s.agreement() failed, the common measure is taken: %s', self._class.__name__, error)
                record_failure(self._backend, Stage.CHECK, error, self._project_id)
        return agreement(answer, truth)

    def same(self, one: Result, other: Result, controls: Controls) -> bool:
        """Whether two answers say the same, by the common measure: a plugin's own may overlook differences."""
        return agreement(_only(one, controls), _only(other, controls)) == 1.0

    def rescored(self, item: HeldOutAnswer, truth: Result, controls: Controls) -> HeldOutAnswer:
        """The same answer held against another truth, or on other controls."""
        share = 0.0 if item.failed else self.agreement(item.answer, truth, controls)
        return replace(item, truth=truth, agreement=share, truth_hash=hash_of(truth))

    def on_controls(self, answers: Answers, controls: Controls) -> Answers:
        """The answers with agreements about these controls."""
        if answers.controls == controls:
            return answers
        found = {task_id: self.rescored(item, item.truth, controls) for task_id, item in answers.by_task.items()}
        return Answers(controls, found)

    def _servable(self) -> Controls:
        try:
            controls = parse_label_config(self._label_config).all_controls
        except LabelConfigError:
            return None
        pairs = {(pair.control.lower(), pair.object.lower()) for pair in self._class.serves}
        return frozenset(item.name for item in controls if (item.type, item.object_tag.lower()) in pairs) or None


def scorer_for(project, backend: str) -> Scorer:
    """The scorer of a project's backend; a plugin that cannot be imported is scored by the common measure."""
    try:
        backend_class = registry.get(backend).backend_class()
    except (Exception, SystemExit) as error:
        logger.info('%s cannot be imported, the common measure is taken: %s', backend, error)
        backend_class = MLBackend
    return Scorer(backend, backend_class, project.label_config, project.pk)


def common_controls(ours: Answers, theirs: Answers) -> Controls:
    """The controls that two versions are held against each other on."""
    if ours.controls is None or theirs.controls is None:
        return None
    return ours.controls | theirs.controls


def _only(result: Result, controls: Controls) -> list:
    return [item for item in result if controls is None or item.get('from_name') in controls]


def _share(value: float) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ValueError(f'agreement() returned {value!r}; it must be a number in 0..1')
    return share
