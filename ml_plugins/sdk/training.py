"""A training of this server as the events that classes of the SDK learn from."""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_plugins.backend import Dataset, Run
from ml_plugins.exceptions import TrainingError
from ml_plugins.sdk import host, web
from ml_plugins.sdk.answers import annotation_dicts, plain, task_dict
from ml_plugins.sdk.building import accepted, build, explained
from ml_plugins.sdk.host import WebRequest
from ml_plugins.sdk.session import Session
from ml_plugins.sdk.state import FILE, SdkState, load_state
from ml_plugins.types import Example, VersionFiles

if TYPE_CHECKING:
    from ml_plugins.sdk.backend import SdkBackend

START = 'START_TRAINING'


def train(backend: SdkBackend, dataset: Dataset, run: Run) -> dict[str, float]:
    """Call ``fit`` of a fresh instance, and store what it leaves.

    Raises:
        TrainingError: It left nothing.
        Exception: Whatever ``fit`` raises.
    """
    source = backend.source
    previous = load_state(run.previous.path) if run.previous else SdkState()
    session = backend.open_session(run.directory)
    session.version_values = previous.values
    session.hidden_tasks = {example.task.id for example in dataset.held_out}
    first = next(iter(dataset.train), None)
    if first is None:
        raise TrainingError('There is nothing to learn from yet: label some tasks first.')
    session.task = first.task
    run.progress(0, 1)
    web.install()
    with session.active(everywhere=True), _working_in(run.directory):
        # Imported in the folder: module globals that hold MODEL_DIR name it.
        model = build(source, session, backend.label_config.xml, previous.train_output)
        is_first_generation = _is_first_generation(model)
        if run.previous and not is_first_generation:
            _copy(run.previous, run.directory)
        before = _files(run.directory)
        session.in_training = True
        calls = Calls(backend, session, dataset, previous)
        with explained(source):
            returned = calls.first_generation(model, run) if is_first_generation else calls.second(model, run)
    if not returned and not session.stored and _files(run.directory) == before:
        raise TrainingError(
            f'{source.class_name}.fit learned nothing: it stored no value, left no file in MODEL_DIR and returned '
            f'nothing. It was called with the event {START}; perhaps it waits for another one'
        )
    output = returned if isinstance(returned, Mapping) else {}
    SdkState(session.stored, output, backend.label_config.xml).save(run.directory)
    if session.stored.get('model_version'):
        run.log(f'model_version: {session.stored["model_version"]}')
    return _metrics(output)


class Calls:
    """The calls of ``fit`` in one training."""

    def __init__(self, backend: SdkBackend, session: Session, dataset: Dataset, previous: SdkState) -> None:
        self._backend = backend
        self._session = session
        self._dataset = dataset
        self._previous = previous
        self._project = self._project_dict()

    def second(self, model: Any, run: Run) -> Any:
        """As in version 2 of the SDK: ``fit(event, data)``, the last time with START_TRAINING."""
        known = set(getattr(model, 'TRAIN_EVENTS', ()))
        events = [item for item in self._events(run) if item[0] in known]
        returned = None
        for done, (event, data) in enumerate(events):
            run.progress(done, len(events) + 1)
            run.log(f'fit({event!r})')
            returned = model.fit(event, data, **accepted(model.fit, self._more(run))) or returned
        run.log(f'fit({START!r})')
        data = self._data(START, self._newest())
        return model.fit(START, data, **accepted(model.fit, self._more(run))) or returned

    def first_generation(self, model: Any, run: Run) -> Any:
        """As in version 1: ``fit(tasks, workdir, **kwargs)``, with the labeled tasks."""
        tasks = [task_dict(example.task, annotation_dicts(example)) for example in self._dataset.train]
        data = self._data(START, self._newest())
        more = {'workdir': str(run.directory), 'event': START, 'data': data, **self._more(run)}
        return model.fit(tasks, **accepted(model.fit, more))

    def _more(self, run: Run) -> dict[str, Any]:
        return {'job_id': run.directory.parent.name}

    def _events(self, run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._previous.label_config and self._previous.label_config != self._backend.label_config.xml:
            yield 'PROJECT_UPDATED', self._data('PROJECT_UPDATED', None)
        changes = self._dataset.changes
        every = self._backend.param_values['events'] == 'every'
        removed = list(changes.removed) if changes else []
        for numbers in [[number] for number in removed] if every else [removed] if removed else []:
            yield 'ANNOTATION_DELETED', self._deleted(numbers)
        if not every:
            return
        changed = set(changes.changed) if changes else set()
        added = set(changes.added) if changes else None
        for example in self._dataset.train:
            number = example.task.id
            if number in changed:
                yield 'ANNOTATION_UPDATED', self._data('ANNOTATION_UPDATED', example)
            elif added is None or number in added:
                yield 'ANNOTATION_CREATED', self._data('ANNOTATION_CREATED', example)

    def _data(self, event: str, example: Example | None) -> dict[str, Any]:
        data = {'action': event, 'project': dict(self._project)}
        if example is not None:
            annotations = annotation_dicts(example)
            # Examples of the SDK ask each event for its annotation, also START_TRAINING.
            chosen = next(item for item in annotations if item['id'] == example.annotation.id)
            data |= {'annotation': chosen, 'task': task_dict(example.task, annotations)}
        return data

    def _deleted(self, numbers: list[int]) -> dict[str, Any]:
        project = self._project.get('id')
        return {
            'action': 'ANNOTATION_DELETED',
            'project': dict(self._project),
            'tasks': [{'id': number} for number in numbers],
            'task': {'id': numbers[0]},
            'annotation': {'task': numbers[0], 'project': project, 'result': []},
            'annotations': [{'task': number, 'project': project} for number in numbers],
        }

    def _newest(self) -> Example | None:
        newest = None
        for example in self._dataset.train:
            if newest is None or example.annotation.id > newest.annotation.id:
                newest = example
        return newest

    def _project_dict(self) -> dict[str, Any]:
        number = self._session.project_id
        answer = host.current.answer(number, WebRequest('GET', f'/api/projects/{number}/'))
        found = json.loads(answer.body) if answer.status == 200 else {}
        return {**found, 'id': number, 'label_config': self._backend.label_config.xml}


@contextlib.contextmanager
def _working_in(directory: Path) -> Iterator[None]:
    """What is written without a folder lands in the version; a training has its process to itself."""
    before, variable = Path.cwd(), os.environ.get('MODEL_DIR')
    os.chdir(directory)
    os.environ['MODEL_DIR'] = str(directory)
    try:
        yield
    finally:
        os.chdir(before)
        if variable is None:
            os.environ.pop('MODEL_DIR', None)
        else:
            os.environ['MODEL_DIR'] = variable


def _is_first_generation(model: Any) -> bool:
    """Version 2 calls the first argument of ``fit`` an event; version 1 gives tasks."""
    first = next(iter(inspect.signature(model.fit).parameters.values()), None)
    return first is not None and first.name != 'event' and first.kind is not first.VAR_POSITIONAL


def _copy(previous: VersionFiles, directory: Path) -> None:
    """Go on from the version in service, as a class does that finds its files where it left them."""
    shutil.copytree(previous.path, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns(FILE))


def _files(directory: Path) -> dict[str, tuple[int, int]]:
    paths = (path for path in directory.rglob('*') if path.is_file())
    return {
        str(path.relative_to(directory)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths
        if path.name != FILE
    }


def _metrics(output: Mapping[str, Any]) -> dict[str, float]:
    """Numbers among what `fit` returned."""
    found = {str(name): value for name, value in plain(output).items() if type(value) in (int, float)}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}
