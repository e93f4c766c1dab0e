"""``label_studio_ml.model``: the base class of both generations of the SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.sdk.provided.response import ModelResponse
from ml_plugins.sdk.session import TOKEN, Session, current

__all__ = ['LabelStudioMLBase', 'ModelResponse', 'predict_fn', 'update_fn']

_THREE_NUMBERS = re.compile(r'(\d+)\.(\d+)\.(\d+)')


def predict_fn(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have the base class answer with this function, called as ``function(tasks, context, helper=model)``."""
    if (session := current()) is not None:
        session.predict_fn = function
    return function


def update_fn(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have the base class train with this function, called as ``function(event, data, helper=model)``."""
    if (session := current()) is not None:
        session.update_fn = function
    return function


class LabelStudioMLBase:
    """Base class of backends for the SDK; what it offers goes to the server that the backend runs in.

    Attributes:
        INITIAL_MODEL_VERSION: ``model_version`` of a class that stores none.
        TRAIN_EVENTS: Events that reach `fit`.
    """

    INITIAL_MODEL_VERSION = '0.0.1'
    TRAIN_EVENTS: Sequence[str] = ('ANNOTATION_CREATED', 'ANNOTATION_UPDATED', 'ANNOTATION_DELETED', 'START_TRAINING')

    _session: Session

    def __new__(cls, *args: Any, **kwargs: Any) -> LabelStudioMLBase:
        """Remember the surroundings before any code of the author runs."""
        session = current()
        if session is None:
            raise PluginBrokenError(f'{cls.__name__} was made outside of the server; run it as a plugin')
        instance = super().__new__(cls)
        instance._session = session
        return instance

    def __init__(
        self,
        project_id: str | None = None,
        label_config: str | None = None,
        train_output: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.project_id = project_id or ''
        self.hostname = kwargs.get('hostname', '')
        self.access_token = kwargs.get('access_token', '')
        self.train_output = dict(train_output or {})
        self.label_config = label_config
        self.parsed_label_config: dict[str, Any] = {}
        if label_config:
            self.use_label_config(label_config)
        if not self.has('model_version'):
            self.set('model_version', self.INITIAL_MODEL_VERSION)
        self.setup()

    def setup(self) -> None:
        """Override it to prepare the model; called once for each loaded model."""

    def use_label_config(self, label_config: str) -> None:
        """Parse the label config and keep it."""
        from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config
        from label_studio_sdk.label_interface import LabelInterface

        self.label_config = label_config
        self.label_interface = LabelInterface(config=label_config)
        self.parsed_label_config = parse_config(label_config)

    # --- Values ------------------------------------------------------------------------------------------------------

    def get(self, key: str) -> str | None:
        """A stored value of this project, or None."""
        return self._session.get(key)

    def set(self, key: str, value: str) -> None:
        """Store a text for this project; every process sees it at once."""
        self._session.set(key, value)

    def has(self, key: str) -> bool:
        """Whether a value is stored."""
        return self._session.get(key) is not None

    @property
    def extra_params(self) -> dict[str, Any]:
        """What the project says in the parameter ``extra_params``."""
        return self._session.params()

    def set_extra_params(self, extra_params: str | Mapping[str, Any]) -> None:
        """Store parameters, as JSON or as a mapping."""
        self.set('extra_params', extra_params if isinstance(extra_params, str) else json.dumps(extra_params))

    @property
    def model_version(self) -> Any:
        """The stored ``model_version``: a ``semver.Version`` where it is one, else a text or None."""
        text = self.get('model_version')
        try:
            from semver import Version

            return Version.parse(text) if text else None
        except (ImportError, ValueError):
            return text

    def bump_model_version(self) -> str:
        """Count the last of the three numbers up and store the result.

        Raises:
            ValueError: There are no three numbers to count up.
        """
        text = self.get('model_version') or self.INITIAL_MODEL_VERSION
        found = _THREE_NUMBERS.search(text)
        if found is None:
            raise ValueError(f'model_version {text!r} has no three numbers such as 0.0.1 to count up')
        bumped = f'{text[: found.start(3)]}{int(found[3]) + 1}{text[found.end(3) :]}'
        self.set('model_version', bumped)
        return bumped

    # --- To be overridden --------------------------------------------------------------------------------------------

    def predict(self, tasks: list[dict[str, Any]], context: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Predict the tasks; without an own one, the function marked with `predict_fn` does."""
        if self._session.predict_fn is None:
            raise NotImplementedError(f'{type(self).__name__} has no predict()')
        return self._session.predict_fn(tasks, context, helper=self, **kwargs)

    def fit(self, event: str, data: Any, **additional_params: Any) -> Any:
        """Learn from an event; without an own one, the function marked with `update_fn` does."""
        if self._session.update_fn is not None:
            return self._session.update_fn(event, data, helper=self, **additional_params)
        return {}

    def process_event(self, event: str, data: Any, job_id: str, additional_params: Mapping[str, Any]) -> Any:
        """`fit`, for the events that this class learns from."""
        return self.fit(event, data, job_id=job_id, **additional_params) if event in self.TRAIN_EVENTS else None

    # --- The task's data ---------------------------------------------------------------------------------------------

    def get_local_path(
        self,
        url: str,
        project_dir: str | None = None,
        ls_host: str | None = None,
        ls_access_token: str | None = None,
        task_id: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> str:
        """A local path with the content of an address; host and token are not needed, the server reads the file."""
        return self._session.local_path(url, task_id)

    def preload_task_data(self, task: dict[str, Any], value: Any = None, read_file: bool = True) -> Any:
        """The value, or all of the task's data, with texts in place of the addresses of files."""
        return self._session.preloaded(task, task['data'] if value is None else value, read_file)

    # --- The label config --------------------------------------------------------------------------------------------

    def get_first_tag_occurence(
        self,
        control_type: str | tuple[str, ...],
        object_type: str | tuple[str, ...],
        name_filter: Callable[[str], bool] | None = None,
        to_name_filter: Callable[[str], bool] | None = None,
    ) -> tuple[str, str, str]:
        """``(from_name, to_name, value)`` of the first control of a type on an object of a type.

        Raises:
            ValueError: There is none.
        """
        return self.label_interface.get_first_tag_occurence(control_type, object_type, name_filter, to_name_filter)

    def build_label_map(self, tag_name: str, names: Sequence[str]) -> dict[str, str]:
        """Labels of the label config by a model's own names: by ``predicted_values``, else by the same word."""
        from ml_plugins.sdk.provided.utils import label_map

        return label_map(self.label_interface.get_tag(tag_name), names)

    # --- The server --------------------------------------------------------------------------------------------------

    def get_label_studio_access_token(self) -> str:
        """Nothing that anybody has to know: calls to this server are answered without a token."""
        return TOKEN

    def get_label_studio_client(self) -> Any:
        """A client of the SDK, answered by this server in this process."""
        from label_studio_sdk import LabelStudio

        return LabelStudio(base_url='http://localhost:8080', api_key=self.get_label_studio_access_token())

    _get_label_studio_client = get_label_studio_client
