"""Several annotators at one project of a running server, and a model whose answers say how useful each task is."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import requests

from tests.benchmarks.digits_plugin import install_plugin
from tests.e2e.server import Server

BACKEND = 'ranked_model'
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="choice" toName="text">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
SOURCE = """
import numpy as np

from ml_plugins import MLBackend, Prediction, Serves


class RankedBackend(MLBackend):
    serves = (Serves('Choices', 'Text'),)
    max_batch = 256

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Text')
        return [self._say(control, 1 - task.data['priority'] / 2) for task in tasks]

    def _say(self, control, sure):
        return Prediction([control.choices('yes')], sure, {control.name: np.array([sure, 1 - sure])})
"""
PATIENCE = 300.0


def install(folder: Path) -> Path:
    """Put the plugin `ranked_model` into a folder for ``PYTHONPATH``."""
    return install_plugin(folder, BACKEND, 'RankedBackend', SOURCE)


@dataclass
class Served:
    """What the people of a team were given.

    Attributes:
        tasks: Numbers, by person.
        priorities: In the order in which they were served.
        seconds: Of each request for a task.
        errors: What went wrong.
    """

    tasks: dict[int, list[int]] = field(default_factory=dict)
    priorities: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sources: Counter = field(default_factory=Counter)

    @property
    def most_of_a_task(self) -> int:
        """How many people were given the task that most were given."""
        return max(Counter(task for tasks in self.tasks.values() for task in tasks).values())


class Team:
    """People who label one project, whose tasks have known priorities.

    Args:
        people: How many.
        tasks: How many.
    """

    def __init__(self, server: Server, lead: requests.Session, people: int, tasks: int, overlap: int = 1) -> None:
        self.server, self.lead = server, lead
        self.members = [sign_up(server, f'member{number}-{tasks}@example.org') for number in range(people)]
        given = {'title': 'Team', 'label_config': CONFIG, 'maximum_annotations': overlap}
        self.project = self.call(lead, 'POST', '/api/projects/', given)['id']
        self.priorities = np.random.default_rng(1).permutation(tasks) / tasks
        data = [{'text': f'Text {number}', 'priority': float(value)} for number, value in enumerate(self.priorities)]
        for start in range(0, tasks, 1000):
            self.call(lead, 'POST', f'/api/projects/{self.project}/import', data[start : start + 1000])
        self.backend = f'/api/projects/{self.project}/ml-backends/{BACKEND}/'
        sampling = {'on': True, 'strategy': 'margin', 'params': {'batch': 'best'}, 'explore': 0, 'seed': 1}
        self.call(lead, 'PATCH', self.backend, {'enabled': True, 'sampling': sampling})
        self.wait_for_choice()

    def call(self, session: requests.Session, method: str, path: str, content: object = None) -> dict:
        answer = session.request(method, self.server.url + path, json=content)
        if answer.status_code >= 300:
            raise AssertionError(f'{method} {path}: {answer.status_code} {answer.text[:300]}')
        return answer.json()

    def wait_for_choice(self) -> None:
        """Until the model has answered all tasks and a queue was chosen by that."""
        end = time.monotonic() + PATIENCE
        while True:
            runs = self.call(self.lead, 'GET', f'{self.backend}prelabel-runs/')
            state = self.call(self.lead, 'GET', self.backend)['sampling']
            if state['scored_version'] and not state['fallback'] and all(run['state'] == 'finished' for run in runs):
                return
            assert time.monotonic() < end, f'nothing was chosen: {state} {runs}\n{self.server.output[-3000:]}'
            time.sleep(0.2)

    def label(self, each: int) -> Served:
        """Everybody takes and answers so many tasks, all at the same time."""
        found, lock, barrier = Served(), threading.Lock(), threading.Barrier(len(self.members))

        def work(number: int, session: requests.Session) -> None:
            mine: list[int] = []
            found.tasks[number] = mine
            try:
                barrier.wait(60)
                for _ in range(each):
                    began = time.perf_counter()
                    task = self.call(session, 'GET', f'/api/projects/{self.project}/next/')
                    took = time.perf_counter() - began
                    with lock:
                        mine.append(task['id'])
                        found.seconds.append(took)
                        found.priorities.append(task['data']['priority'])
                        found.sources[re.sub(r' \(.*', '', task['queue'])] += 1
                    region = {'from_name': 'choice', 'to_name': 'text', 'type': 'choices', 'value': {'choices': ['no']}}
                    answer = {'result': [region], 'lead_time': 1}
                    self.call(session, 'POST', f'/api/tasks/{task["id"]}/annotations/', answer)
            except BaseException as error:
                found.errors.append(f'{type(error).__name__}: {error}')

        threads = [threading.Thread(target=work, args=pair) for pair in enumerate(self.members)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def share_of_ideal(self, served: Served) -> float:
        """Mean priority of what was served, as a share of what the best tasks have."""
        best = np.sort(self.priorities)[::-1][: len(served.priorities)]
        return float(np.mean(served.priorities) / best.mean())


def sign_up(server: Server, email: str) -> requests.Session:
    """A new account in the organization, signed in."""
    session = requests.Session()
    page = session.get(f'{server.url}/user/signup/')
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text).group(1)
    data = {'email': email, 'password': 'label-everything', 'csrfmiddlewaretoken': token}
    answer = session.post(f'{server.url}/user/signup/', data=data, headers={'Referer': server.url})
    assert answer.status_code == 200 and 'sessionid' in session.cookies, answer.text[:500]
    session.headers['X-CSRFToken'] = session.cookies.get('csrftoken', '')
    session.headers['Referer'] = server.url
    return session
