"""Background threads pause while somebody waits, and still get on."""

import threading
import time

import pytest

from label_studio.ml_host.prelabeling.courtesy import LONGEST_PAUSE_BEFORE_WRITING, SHARE_GIVEN, Courtesy, polite


def test_nobody_waits_nobody_pauses():
    courtesy = Courtesy()
    assert courtesy.give_way() == 0.0


def test_background_work_goes_on_when_the_last_one_is_served():
    courtesy = Courtesy()
    paused = []

    def work():
        courtesy.give_way()
        time.sleep(0.2)
        paused.append(courtesy.give_way())

    with courtesy.someone_waits():
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.3)
    served = time.monotonic()
    thread.join()
    assert paused[0] > 0.0
    assert time.monotonic() - served < 0.2


def test_background_work_gets_its_share_of_the_time():
    courtesy = Courtesy()
    worked = 0.0
    with courtesy.someone_waits():
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            begun = time.monotonic()
            while time.monotonic() - begun < 0.005:
                pass
            worked += time.monotonic() - begun
            courtesy.give_way()
        spent = time.monotonic() - started
    share = worked / spent
    assert 0.5 / (1 + SHARE_GIVEN) < share < 0.6


def test_writing_waits_for_a_moment_without_people_but_not_for_ever():
    courtesy = Courtesy()
    assert courtesy.give_way_before_writing() == 0.0
    with courtesy.someone_waits():
        paused = courtesy.give_way_before_writing()
    assert LONGEST_PAUSE_BEFORE_WRITING <= paused < 3 * LONGEST_PAUSE_BEFORE_WRITING


def test_several_people_are_counted():
    courtesy = Courtesy()
    with courtesy.someone_waits(), courtesy.someone_waits():
        assert courtesy.people == 2
    assert courtesy.people == 0


def test_requests_count_while_they_are_answered_and_polls_do_not(monkeypatch):
    courtesy = Courtesy()
    monkeypatch.setattr('label_studio.ml_host.prelabeling.courtesy._courtesy', courtesy)
    seen = []

    def application(environ, start_response):
        seen.append(courtesy.people)
        if environ['PATH_INFO'] == '/error':
            raise RuntimeError('boom')
        return [b'']

    answer = polite(application)
    for method, path in (
        ('GET', '/api/tasks/1/'),
        ('POST', '/projects/1/ml-backends/x/prelabel/start/'),
        ('GET', '/projects/1/ml-backends/x/prelabel/'),
        ('GET', '/api/projects/1/prelabel/'),
        ('GET', '/metrics/ml'),
        ('GET', '/health'),
    ):
        answer({'REQUEST_METHOD': method, 'PATH_INFO': path}, None)
    assert seen == [1, 1, 0, 0, 0, 0]
    with pytest.raises(RuntimeError):
        answer({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/error'}, None)
    assert courtesy.people == 0
