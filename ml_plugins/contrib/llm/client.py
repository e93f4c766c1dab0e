"""Requests to an endpoint that speaks OpenAI's chat protocol: with retries, timeouts and structured output."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_plugins.contrib.llm.access import KEY_VARIABLE, Access
from ml_plugins.exceptions import MLPluginError

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)

# Ways to ask for structured output, the strictest first; an endpoint that does not know one is asked by the next.
_FORMATS = ('json_schema', 'json_object', 'none')
_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT = 30.0
# Characters of a token, where the endpoint does not say how many tokens it counted; few, so that none is forgotten.
_CHARACTERS = 3


class LlmError(MLPluginError):
    """The endpoint cannot be reached, refuses, or answers what cannot be used."""

    code = 'llm'


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        content: The JSON object that the model wrote.
    """

    content: Mapping[str, Any]
    input_tokens: int
    output_tokens: int


class Client:
    """One endpoint, asked from several threads.

    Args:
        timeout: Seconds that one request may take.
        retries: Further tries after one that failed for a reason that passes.
        spent: Called with the tokens of each answer, also of one that cannot be used.
        wait: Waits between two tries.
    """

    def __init__(
        self,
        access: Access,
        model: str,
        timeout: float,
        retries: int,
        spent: Callable[[int, int], None],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access = access
        self._model = model
        self._timeout = timeout
        self._retries = retries
        self._spent = spent
        self._wait = wait
        self._format = 0

    def ask(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], longest: int) -> Answer:
        """Ask once; gives the parsed answer.

        Raises:
            LlmError: Says what to do where something can be done.
        """
        reason = ''
        tries = 0
        while tries <= self._retries:
            answer, reason, delay = self._try(messages, schema, longest)
            if answer is not None:
                return answer
            if delay is None:
                # Asked for in another way, which is not another try.
                continue
            tries += 1
            if tries <= self._retries:
                self._wait(min(_LONGEST_WAIT, max(delay, 2.0 ** (tries - 1))))
        raise LlmError(f'{reason}; given up after {tries} tries')

    def _try(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], longest: int
    ) -> tuple[Answer | None, str, float | None]:
        import requests

        used = self._format
        body = {'model': self._model, 'messages': list(messages), 'temperature': 0, 'max_tokens': longest}
        if (asked := _response_format(_FORMATS[used], schema)) is not None:
            body['response_format'] = asked
        try:
            response = requests.post(
                f'{self._access.endpoint}/chat/completions',
                json=body,
                headers={'Authorization': f'Bearer {self._access.key}'},
                timeout=self._timeout,
                # The key must not follow to another place.
                allow_redirects=False,
            )
        except requests.Timeout:
            return None, f'{self._access.endpoint} did not answer in {self._timeout:g} s', 0.0
        except requests.RequestException as error:
            return None, f'{self._access.endpoint} cannot be reached: {type(error).__name__}', 0.0
        if response.status_code in (400, 422) and used + 1 < len(_FORMATS) and 'response_format' in response.text:
            self._format = max(self._format, used + 1)
            logger.info('%s does not know the response format %s', self._access.endpoint, _FORMATS[used])
            return None, '', None
        if response.status_code in _TRY_AGAIN:
            return None, f'{self._access.endpoint} answered {_said(response)}', _retry_after(response)
        if response.status_code != 200:
            raise LlmError(_refusal(self._access.endpoint, response))
        return self._read(response, messages)

    def _read(
        self, response: Response, messages: Sequence[Mapping[str, str]]
    ) -> tuple[Answer | None, str, float | None]:
        try:
            found = response.json()
            content = found['choices'][0]['message']['content'] or ''
        except (ValueError, KeyError, IndexError, TypeError):
            return None, f'{self._access.endpoint} answered something that is not of the protocol', 0.0
        usage = found.get('usage') or {}
        told = sum(len(message['content']) for message in messages)
        input_tokens = int(usage.get('prompt_tokens') or told // _CHARACTERS)
        output_tokens = int(usage.get('completion_tokens') or len(content) // _CHARACTERS)
        self._spent(input_tokens, output_tokens)
        try:
            parsed = json.loads(_without_fence(content))
        except ValueError:
            return None, f'the model wrote no JSON but {content[:80]!r}', 0.0
        if not isinstance(parsed, dict):
            return None, f'the model wrote no JSON object but {content[:80]!r}', 0.0
        return Answer(parsed, input_tokens, output_tokens), '', 0.0


def _response_format(kind: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    if kind == 'json_schema':
        return {'type': kind, 'json_schema': {'name': 'labels', 'strict': True, 'schema': dict(schema)}}
    return {'type': kind} if kind == 'json_object' else None


def _without_fence(content: str) -> str:
    """The JSON of an answer that is wrapped as code."""
    start, end = content.find('{'), content.rfind('}')
    return content[start : end + 1] if 0 <= start < end else content


def _retry_after(response: Response) -> float:
    try:
        return max(0.0, float(response.headers.get('Retry-After', 0)))
    except ValueError:
        return 0.0


def _said(response: Response) -> str:
    return f'{response.status_code} ({response.text[:200].strip() or response.reason})'


def _refusal(endpoint: str, response: Response) -> str:
    if response.status_code in (401, 403):
        return f'{endpoint} refuses the key ({response.status_code}): set {KEY_VARIABLE} to one that is valid'
    if response.status_code == 404:
        return f'{endpoint} knows no such model or address: {_said(response)}'
    return f'{endpoint} answered {_said(response)}'
