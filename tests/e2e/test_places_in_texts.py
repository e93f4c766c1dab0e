"""Where spans lie in a text, as the editor shows it: emoji, combining characters and line ends shift nothing."""

import pytest

from ml_plugins import Serves, Task
from ml_plugins.adapters import FunctionBackend
from tests.adapters.configs import loaded, on_text
from tests.e2e.browsing import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CONFIG = on_text('<Labels name="word" toName="text"><Label value="Found"/></Labels>')
TEXT = '💩 Anna Berg\r\n👩🏽\u200d🚒 from Rene\u0301ville, 🇩🇪, was here'
WORDS = ['Anna Berg', '👩🏽\u200d🚒', 'Rene\u0301ville', '🇩🇪', 'here']


class Finder(FunctionBackend):
    serves = [Serves('Labels', 'Text')]

    def function(self, text):
        return [(text.index(word), text.index(word) + len(word), 'Found') for word in WORDS]


def test_the_editor_marks_what_the_model_found(workplace, tmp_path):
    browser = workplace.browser
    project = workplace.project('Words', CONFIG)
    task = workplace.call('POST', '/api/tasks/', 201, {'project': project, 'data': {'text': TEXT}})['id']
    [prediction] = loaded(Finder, CONFIG).predict([Task(task, {'text': TEXT})])
    workplace.call('POST', f'/api/tasks/{task}/annotations/', 201, {'result': prediction.result()})
    browser.get(f'{workplace.server.url}/projects/{project}/data?task={task}')
    marked = until(lambda: [item.text for item in browser.find_elements('css selector', '.htx-highlight')], 60)
    workplace.picture('words', tmp_path)
    # The editor puts the label behind the words of a region.
    assert [text.removesuffix('Found').strip() for text in marked] == WORDS
