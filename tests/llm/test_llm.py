import json

import pytest

from ml_plugins.backend import BackendContext
from ml_plugins.contrib.llm.access import Access
from ml_plugins.contrib.llm.apps import LlmConfig
from ml_plugins.contrib.llm.backend import LargeLanguageModel
from ml_plugins.contrib.llm.client import Client, LlmError
from ml_plugins.contrib.llm.spending import Ledger
from ml_plugins.exceptions import LabelConfigError, ParameterError, RequirementMissingError
from ml_plugins.label_config import parse_label_config
from ml_plugins.testing import BackendContract
from ml_plugins.types import Prediction, Task, TaskFailure

from .endpoint import Endpoint, completion

CHOICES = (
    '<Choices name="mood" toName="text"><Choice value="good" hint="somebody is glad"/><Choice value="bad"/></Choices>'
)
TAGS = '<Choices name="tags" toName="text" choice="multiple"><Choice value="sun"/><Choice value="rain"/></Choices>'
LABELS = '<Labels name="label" toName="text"><Label value="Person"/><Label value="Place"/></Labels>'
REST = '<TextArea name="summary" toName="text"/><Rating name="stars" toName="text" maxRating="3"/>'


def view(*controls):
    return f'<View><Text name="text" value="$text"/>{"".join(controls)}</View>'


MOOD = view(CHOICES)


def mood(content):
    return {'mood': 'bad' if 'dark' in content else 'good'}


@pytest.fixture
def endpoint(monkeypatch):
    made = Endpoint(mood)
    monkeypatch.setenv('ML_LLM_ENDPOINT', made.address)
    monkeypatch.setenv('ML_LLM_API_KEY', 'secret')
    yield made
    made.close()


@pytest.fixture
def load(endpoint, tmp_path):
    made = []

    def backend(xml=MOOD, **params):
        params = {'retries': 0, **params}
        found = LargeLanguageModel(BackendContext(parse_label_config(xml), params, cache_directory=tmp_path / 'cache'))
        found.setup()
        made.append(found)
        return found

    yield backend
    for item in made:
        item.close()


def task(text, number=1):
    return Task(number, {'text': text})


class TestContract(BackendContract):
    backend_class = LargeLanguageModel
    label_config = view(CHOICES)

    @pytest.fixture(autouse=True)
    def _with_an_endpoint(self, endpoint):
        pass

    def tasks(self):
        return [task('a bright day', 1), task('a dark night', 2)]


def test_it_is_off_until_a_key_is_set(monkeypatch):
    monkeypatch.delenv('ML_LLM_API_KEY', raising=False)
    assert 'ML_LLM_API_KEY is not set' in LlmConfig.missing('label-studio')
    made = LargeLanguageModel(BackendContext(parse_label_config(view(CHOICES))))
    with pytest.raises(RequirementMissingError, match='ML_LLM_API_KEY'):
        made.setup()
    monkeypatch.setenv('ML_LLM_API_KEY', 'secret')
    assert LlmConfig.missing('label-studio') == ''


def test_what_is_asked_comes_from_the_label_config(load, endpoint):
    made = load(instructions='Be kind.', model='tiny')
    found = made.predict([task('a bright day', 1), task('a dark night', 2)])
    assert [item.regions[0].value for item in found] == [{'choices': ['good']}, {'choices': ['bad']}]
    request = endpoint.requests[0]
    assert (request['key'], request['path'], request['model']) == ('Bearer secret', '/v1/chat/completions', 'tiny')
    form = request['response_format']['json_schema']
    assert form['strict'] is True
    assert form['schema']['properties'] == {'mood': {'type': 'string', 'enum': ['good', 'bad']}}
    system = request['messages'][0]['content']
    assert '"good" (somebody is glad), "bad"' in system and 'Be kind.' in system


def test_every_kind_of_control(load, endpoint):
    text = '😀 Ann met Bob. Ann left cafe\u0301 Paris.'
    endpoint.answer = lambda content: {
        'tags': ['sun', 'rain', 'sun'],
        'label': [
            {'text': 'Ann', 'label': 'Person'},
            {'text': 'Ann', 'label': 'Person'},
            {'text': 'cafe\u0301  paris', 'label': 'Place'},
            {'text': 'nowhere', 'label': 'Place'},
        ],
        'summary': ' People meet. ',
        'stars': 2,
    }
    made = load(view(TAGS, LABELS, REST))
    [found] = made.predict([task(text)])
    made.label_config.check(found)
    values = [(region.from_name, region.value) for region in found.regions]
    assert values[0] == ('tags', {'choices': ['sun', 'rain']})
    places = [(value['start'], value['end'], value['text']) for name, value in values if name == 'label']
    assert places == [(2, 5, 'Ann'), (15, 18, 'Ann'), (24, 35, 'cafe\u0301 Paris')]
    assert all(text[start:end] == piece for start, end, piece in places)
    assert values[-2:] == [('summary', {'text': ['People meet.']}), ('stars', {'rating': 2})]


@pytest.mark.parametrize(
    'answer',
    [
        {'mood': 'terrible'}, {'mood': None}, {'mood': 7}, {}, {'other': 'good'}, {'mood': {'a': 1}},
        {'label': 'Person', 'stars': 99, 'summary': 5, 'tags': 'snow'}, {'label': [None, {'text': 3, 'label': []}]},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out(load, endpoint, answer):
    endpoint.answer = lambda content: answer
    [found] = load(view(CHOICES, TAGS, LABELS, REST)).predict([task('a text')])
    assert found == Prediction([])


@pytest.mark.parametrize('said', ['GOOD', ' good', 'Good'])
def test_other_capitals_are_the_same_label(load, endpoint, said):
    endpoint.answer = lambda content: {'mood': said}
    assert load().predict([task('a text')])[0].regions[0].value == {'choices': ['good']}


def test_an_endpoint_without_structured_output_is_asked_in_other_ways(load, endpoint):
    refusal = (400, {}, '{"error": {"message": "response_format is not supported"}}')
    endpoint.troubles = [refusal, refusal]
    endpoint.answer = lambda content: 'Of course!\n```json\n{"mood": "good"}\n```'
    made = load(parallel=1)
    assert made.predict([task('a text')])[0].regions[0].value == {'choices': ['good']}
    made.predict([task('another')])
    kinds = [request.get('response_format', {}).get('type') for request in endpoint.requests]
    assert kinds == ['json_schema', 'json_object', None, None]


def ask(endpoint, retries=2, timeout=5.0):
    waits, spent = [], []
    client = Client(
        Access(endpoint.address, 'secret'), 'tiny', timeout, retries, lambda *tokens: spent.append(tokens), waits.append
    )
    try:
        return client.ask([{'role': 'user', 'content': 'x' * 300}], {}, 10).content, waits, spent
    except LlmError as error:
        return str(error), waits, spent


def test_troubles_that_pass_are_tried_again(endpoint):
    endpoint.troubles = [(429, {'Retry-After': '7'}, 'busy'), (503, {}, 'down')]
    found, waits, spent = ask(endpoint)
    assert (found, waits, spent) == ({'mood': 'good'}, [7.0, 2.0], [(1000, 100)])


@pytest.mark.parametrize(
    ('trouble', 'words', 'cost'),
    [
        ((500, {}, 'oops'), 'answered 500 (oops); given up after 3 tries', 0),
        (('hang up', {}, ''), 'cannot be reached', 0),
        ((200, {}, '<html>'), 'not of the protocol', 0),
        ((200, {}, completion('I think it is good')), "wrote no JSON but 'I think it is good'", 3),
        ((200, {}, completion('[1]')), 'wrote no JSON object', 3),
    ],
)
def test_troubles_that_stay_are_said(endpoint, trouble, words, cost):
    endpoint.troubles = [trouble] * 3
    said, waits, spent = ask(endpoint)
    assert words in said and waits == [1.0, 2.0] and len(spent) == cost


@pytest.mark.parametrize(
    ('trouble', 'words'),
    [
        ((401, {}, 'no'), 'refuses the key (401): set ML_LLM_API_KEY'),
        ((404, {}, 'no such model'), 'knows no such model'),
        ((302, {'Location': 'http://127.0.0.1:9/'}, ''), 'answered 302'),
    ],
)
def test_refusals_are_not_tried_again(endpoint, trouble, words):
    endpoint.troubles = [trouble]
    said, waits, _ = ask(endpoint)
    assert words in said and waits == [] and len(endpoint.requests) == 1


def test_a_silent_endpoint_is_given_up(monkeypatch):
    import socket

    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        waits = []
        access = Access(f'http://127.0.0.1:{silent.getsockname()[1]}', 'secret')
        client = Client(access, 'tiny', 0.1, 1, lambda *tokens: None, waits.append)
        with pytest.raises(LlmError, match=r'did not answer in 0\.1 s; given up after 2 tries'):
            client.ask([], {}, 10)


def test_one_task_that_fails_fails_alone(load, endpoint):
    endpoint.troubles = [(500, {}, 'oops')]
    found = load(parallel=1).predict([task('a', 1), task('', 2), task('c', 3)])
    assert [type(item) for item in found] == [TaskFailure, TaskFailure, Prediction]
    assert '"text" is empty' in found[1].reason and len(endpoint.requests) == 2


def test_the_daily_limit_is_kept_over_restarts(load, endpoint, tmp_path):
    # 1,000 tokens in and 100 out cost 2 cents here.
    prices = {'input_price': 15.0, 'output_price': 50.0, 'parallel': 1}
    found = load(daily_limit=0.03, **prices).predict([task('a', number) for number in range(4)])
    assert [type(item) for item in found] == [Prediction, Prediction, TaskFailure, TaskFailure]
    assert '0.04 of 0.03 dollars are spent today; raise the parameter "daily_limit"' in found[2].reason
    [after] = load(daily_limit=0.03, **prices).predict([task('a')])
    assert isinstance(after, TaskFailure) and len(endpoint.requests) == 2
    [total] = load(daily_limit=9.0, total_limit=0.04, **prices).predict([task('a')])
    assert 'in all' in total.reason


def test_days_are_counted_apart_and_by_several_processes(tmp_path):
    day = ['2030-01-01']
    first, second = (Ledger(tmp_path, lambda: day[0]) for _ in range(2))
    first.add(1.0, 1, 1)
    second.add(2.0, 1, 1)
    assert (first.today, second.today) == (3.0, 3.0)
    day[0] = '2030-01-02'
    first.add(0.5, 1, 1)
    with (tmp_path / 'spending.jsonl').open('ab') as file:
        file.write(b'{"day": "2030-01-02", "cost": 7\n{"day": "2030')
    assert (second.today, second.total) == (0.5, 3.5)


def test_tokens_are_estimated_where_nobody_counts_them(endpoint):
    content = json.dumps({'choices': [{'message': {'content': '{"a": 1}'}}]})
    endpoint.troubles = [(200, {}, content)]
    assert ask(endpoint)[2] == [(100, 2)]


def test_the_key_is_in_no_message():
    assert 'secret' not in repr(Access('http://x', 'secret'))


def test_label_configs_and_parameters_that_do_not_work(load):
    with pytest.raises(LabelConfigError, match='it needs <Choices>'):
        LargeLanguageModel.check(parse_label_config(view('<Choices name="c" toName="text" perRegion="true"/>')))
    with pytest.raises(ParameterError, match='"model": it is empty'):
        load(model=' ')
