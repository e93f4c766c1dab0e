"""A large language model that fills in the label config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ml_plugins.adapters.labels import LabelMatcher
from ml_plugins.backend import MLBackend, Serves
from ml_plugins.contrib.llm.access import KEY_VARIABLE, access
from ml_plugins.contrib.llm.answers import regions_of
from ml_plugins.contrib.llm.client import Client, LlmError
from ml_plugins.contrib.llm.prompts import messages, schema, served
from ml_plugins.contrib.llm.spending import Ledger, Prices
from ml_plugins.contrib.texts import text_or_failure
from ml_plugins.contrib.zero_shot.descriptions import descriptions
from ml_plugins.exceptions import LabelConfigError, ParameterError, RequirementMissingError
from ml_plugins.label_config import LabelConfig
from ml_plugins.params import Param
from ml_plugins.types import Interaction, Prediction, Task, TaskFailure


class LargeLanguageModel(MLBackend):
    """Any endpoint of OpenAI's protocol, with an answer of a given form and a limit of what it may cost."""

    serves = (
        *(Serves('Choices', name) for name in ('Text', 'HyperText')),
        Serves('Labels', 'Text'),
        *(Serves(tag, name) for tag in ('TextArea', 'Rating') for name in ('Text', 'HyperText')),
    )
    params = (
        Param('model', 'gpt-4o-mini', 'Name of the model, as the endpoint calls it.'),
        Param('instructions', '', 'What to tell the model about the labels and the texts.'),
        Param('daily_limit', 1.0, 'US dollars that this project may spend a day (UTC).', minimum=0.0),
        Param('total_limit', 10.0, 'US dollars that this project may spend in all.', minimum=0.0),
        Param('input_price', 5.0, 'US dollars for a million tokens of input; look it up for the model.', minimum=0.0),
        Param('output_price', 15.0, 'US dollars for a million tokens of output.', minimum=0.0),
        Param('longest_answer', 1000, 'Tokens that an answer may have.', minimum=1, maximum=100_000),
        Param('longest_text', 20_000, 'Characters of a text that are sent.', minimum=1, maximum=1_000_000),
        Param('timeout', 30.0, 'Seconds that a request may take.', minimum=0.1, maximum=600.0),
        Param('retries', 2, 'Further tries where a reason passes, such as a busy endpoint.', minimum=0, maximum=10),
        Param('parallel', 4, 'Requests at a time.', minimum=1, maximum=64),
    )
    max_batch = 8

    @classmethod
    def check(cls, label_config: LabelConfig) -> None:
        if not served(label_config):
            raise LabelConfigError(
                'it needs <Choices>, <Labels>, <TextArea> or <Rating> on <Text>, and the label config has '
                f'{label_config.summary()}'
            )

    def setup(self) -> None:
        where = access()
        if not where.key:
            raise RequirementMissingError(f'set the environment variable {KEY_VARIABLE} to the key of the endpoint')
        values = self.param_values
        if not values['model'].strip():
            raise ParameterError('parameter "model": it is empty; name a model of the endpoint')
        self._controls = served(self.label_config)
        self._pages = {control.value: control.object_tag.lower() == 'hypertext' for control in self._controls}
        self._hints = {control.name: _hints(self.label_config, control) for control in self._controls}
        self._matchers = {control.name: LabelMatcher(control) for control in self._controls if control.labels}
        self._schema = schema(self._controls)
        self._prices = Prices(values['input_price'], values['output_price'])
        self._ledger = Ledger(self.context.cache_directory)
        self._client = Client(where, values['model'].strip(), values['timeout'], values['retries'], self._spent)
        self._threads = ThreadPoolExecutor(values['parallel'], 'llm')

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def memory_bytes(self) -> int:
        return 0

    def predict(
        self, tasks: Sequence[Task], interaction: Interaction | None = None
    ) -> Sequence[Prediction | TaskFailure | None]:
        return list(self._threads.map(self._predicted, tasks))

    def _predicted(self, task: Task) -> Prediction | TaskFailure:
        texts = {key: text_or_failure(task, key, page) for key, page in self._pages.items()}
        failure = next((text for text in texts.values() if isinstance(text, TaskFailure)), None)
        if failure or (failure := self._over_limit(task)):
            return failure
        values = self.param_values
        sent = {key: text[: values['longest_text']] for key, text in texts.items()}
        asked = messages(self._controls, self._hints, values['instructions'], sent)
        try:
            answer = self._client.ask(asked, self._schema, values['longest_answer'])
        except LlmError as error:
            return TaskFailure(task.id, str(error))
        return Prediction(regions_of(answer.content, self._controls, self._matchers, sent))

    def _over_limit(self, task: Task) -> TaskFailure | None:
        """Asked before each request, so that what is on its way at that moment is the most that goes beyond."""
        limits = (('daily_limit', 'today', self._ledger.today), ('total_limit', 'in all', self._ledger.total))
        for name, when, spent in limits:
            limit = self.param_values[name]
            if spent >= limit:
                reason = f'{spent:.2f} of {limit:g} dollars are spent {when}; raise the parameter "{name}" to go on'
                return TaskFailure(task.id, reason)
        return None

    def _spent(self, input_tokens: int, output_tokens: int) -> None:
        self._ledger.add(self._prices.cost(input_tokens, output_tokens), input_tokens, output_tokens)


def _hints(label_config: LabelConfig, control) -> Mapping[str, str]:
    if control.type != 'choices':
        return {}
    told = descriptions(label_config, control)
    return {label: '; '.join(item for item in phrases if item != label) for label, phrases in told.items()}
