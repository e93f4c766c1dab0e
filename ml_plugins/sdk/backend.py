"""A class of the SDK as a backend of this server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

from ml_plugins.backend import Dataset, MLBackend, Run
from ml_plugins.exceptions import ParameterError, PluginBrokenError, TaskDataError
from ml_plugins.params import Param
from ml_plugins.sdk import web
from ml_plugins.sdk.answers import predictions, task_dict
from ml_plugins.sdk.building import accepted, build, explained
from ml_plugins.sdk.namespace import ROOT
from ml_plugins.sdk.session import Session
from ml_plugins.sdk.sources import SdkSource, source_of_target
from ml_plugins.sdk.state import SdkState, load_state
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure


class SdkBackend(MLBackend):
    """Base of the classes that `backend_of` makes; `source` says whose class it is."""

    source: ClassVar[SdkSource]
    params: ClassVar[Sequence[Param]] = (
        Param('extra_params', '', 'What the class reads as `extra_params`: an object in JSON.'),
        Param(
            'events',
            'training',
            'What a training calls fit() with: START_TRAINING once, or each annotation that is new, changed or '
            'deleted before.',
            choices=('training', 'every'),
        ),
    )
    max_batch: ClassVar[int] = 64

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.model: Any = None
        self.session: Session | None = None
        text = str(self.param_values['extra_params'])
        try:
            ok = not text or isinstance(json.loads(text), dict)
        except ValueError:
            ok = False
        if not ok:
            raise ParameterError(
                f'parameter "extra_params": {text!r:.100} is not an object in JSON, e.g. {{"limit": 3}}'
            )

    @classmethod
    def can_fit(cls) -> bool:
        """Whether the class has a ``fit`` of its own."""
        return cls.source.trains

    def setup(self) -> None:
        """Make the instance that predicts."""
        self.session = self.open_session(self._served_directory())
        state = load_state(self.version.path) if self.version else SdkState()
        self.session.version_values = state.values
        web.install()
        with self.session.active():
            self.model = build(self.source, self.session, self.label_config.xml, state.train_output)

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        """Have the instance predict, whatever form it answers in."""
        self.session.working_on(tasks)
        with self.session.active(), explained(self.source):
            try:
                return self._answers(tasks, interaction)
            except TaskDataError as error:
                if len(tasks) == 1:
                    return [TaskFailure(tasks[0].id, str(error))]
        # A file that cannot be read ends the whole call of a class that knows nothing of it.
        return [answer for task in tasks for answer in self.predict([task], interaction)]

    def fit(self, dataset: Dataset, run: Run) -> Mapping[str, float]:
        """Have another instance learn; see `ml_plugins.sdk.training`."""
        from ml_plugins.sdk.training import train

        return train(self, dataset, run)

    def close(self) -> None:
        """Let the instance and its modules go."""
        self.model = self.session = None

    def open_session(self, directory: Path) -> Session:
        """Surroundings of an instance whose ``MODEL_DIR`` is this folder."""
        return Session(self.source.plugin, self.context.project_id, directory, str(self.param_values['extra_params']))

    def _answers(self, tasks: Sequence[Task], interaction: Interaction | None) -> list[Prediction | None]:
        arguments = accepted(self.model.predict, {'context': _context(interaction)})
        returned = self.model.predict([task_dict(task) for task in tasks], **arguments)
        return predictions(returned, len(tasks), self.source.class_name)

    def _served_directory(self) -> Path:
        if self.version is not None:
            return self.version.path
        # Before the first training: where weights that somebody put there are, else an empty folder.
        if given := os.environ.get('MODEL_DIR'):
            return Path(given)
        if self.context.cache_directory is None:
            return Path(mkdtemp(prefix='sdk-model-'))
        folder = self.context.cache_directory / 'untrained'
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def backend_of(source: SdkSource) -> type[SdkBackend]:
    """The backend class for a class of the SDK; nothing of that class is imported."""
    return type(
        source.class_name,
        (SdkBackend,),
        {
            'source': source,
            'is_interactive': source.is_interactive,
            '__module__': f'{ROOT}.{source.plugin}',
            '__doc__': f'{source.class_name} of {source.folder}, written for the ML backend SDK.',
        },
    )


def backend_for(target: str) -> type[SdkBackend]:
    """The backend class for ``"package.module:Class"``, for the tests of a package.

    Raises:
        PluginBrokenError: There is no such class.
    """
    source = source_of_target(target.partition('.')[0].partition(':')[0], target, trusted=True)
    if source is None:
        raise PluginBrokenError(f'"{target}" names no class that can be found; it must be "package.module:Class"')
    return backend_of(source)


def _context(interaction: Interaction | None) -> dict[str, Any] | None:
    if interaction is None:
        return None
    return {**interaction.extra, 'result': [dict(region) for region in interaction.regions]}
