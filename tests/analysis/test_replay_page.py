"""Replay on the ML backends page: the form, the run, the curves, and the button that takes a strategy."""

import re

import pytest

from label_studio.ml_host.models import ReplayRun, SamplingPlan
from label_studio.ml_host.pages.curves import Point, Series, chart_of
from tests.analysis.conftest import ProbableBackend

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {'strategies': ['margin'], 'labels': '40', 'batch': '20', 'seeds': '2'}


@pytest.fixture
def card(browser, project):
    return lambda: browser.get(f'/projects/{project.pk}/ml-backends/digits/').content.decode()


def test_run_look_and_use(enable, label, work, card, press, browser, project):
    enable()
    label(range(80))
    page = card()
    assert 'Replay: compare strategies on the labels that are there' in page
    assert re.search(r'value="automatic" checked>', page)
    assert re.search(r'value="random" checked disabled>', page)
    assert re.search(r'value="bald" disabled>', page)
    assert 'The ML backend gives no answers of several models or dropout passes.' in page
    pressed = press('digits/replay/start/', FORM).content.decode()
    assert 'data-state="queued"' in pressed
    assert 'It waits for a worker.' in pressed
    assert 'data-run-replay' not in pressed
    under_way = browser.get(f'/projects/{project.pk}/ml-backends/digits/replay/')
    assert 'HX-Retarget' not in under_way.headers
    work()
    ended = browser.get(f'/projects/{project.pk}/ml-backends/digits/replay/')
    # What is asked each second ends with the whole card.
    assert ended.headers['HX-Retarget'] == '#ml-card-digits'
    page = ended.content.decode()
    assert 'data-state="finished"' in page
    assert page.count('class="ml-series-line') == 2
    assert '80 tasks labeled with &quot;choice&quot;, 10 labels, by embeddings of the model before its first' in page
    assert 'data-use="margin"' in page
    used = press('digits/replay/use/', {'strategy': 'margin'}).content.decode()
    assert SamplingPlan.objects.get().strategy == 'margin'
    assert not SamplingPlan.objects.get().enabled
    assert 'data-use="margin"' not in used
    assert 'Chosen; active learning is off' in used
    SamplingPlan.objects.update(enabled=True)
    assert 'In use' in card()


def test_refusals_are_shown(enable, label, queue, press):
    enable()
    label(range(20))
    assert (
        'A replay needs 60 tasks labeled with &quot;choice&quot;; there are 20.'
        in press('digits/replay/start/', FORM).content.decode()
    )
    assert (
        'seeds: &#x27;99&#x27; must be a whole number from 1 to 20'
        in press('digits/replay/start/', {**FORM, 'seeds': '99'}).content.decode()
    )
    assert not ReplayRun.objects.exists()


def test_cancel(enable, label, queue, press):
    enable()
    label(range(60))
    press('digits/replay/start/', FORM)
    assert 'data-state="cancelled"' in press(f'digits/replay/{ReplayRun.objects.get().pk}/cancel/').content.decode()


def test_another_kind_of_project_says_what_it_needs(enable, project, card):
    enable()
    project.label_config = project.label_config.replace('name="choice"', 'name="choice" choice="multiple"')
    project.save()
    page = card()
    assert 'It needs a Choices control with which one label is chosen for a whole task' in page
    assert 'data-run-replay' not in page


def test_strategies_that_the_backend_gives_too_little_for_are_grey(enable, label, work, press):
    enable(ProbableBackend)
    label(range(60))
    press('digits/replay/start/', FORM)
    work()
    page = press('digits/replay/start/', {**FORM, 'labels': '5'}).content.decode()
    assert re.search(r'title="The ML backend gives no embeddings."><input [^>]* value="typiclust" disabled>', page)


def test_a_backend_that_is_off_shows_nothing(inline_plugins, card):
    from tests.analysis.conftest import DigitsBackend

    inline_plugins('digits', DigitsBackend)
    assert 'ml-replay' not in card()


def test_the_drawing():
    points = [Point(10, 0.5, 0.4, 0.6), Point(20, 0.8, 0.75, 0.85)]
    drawn = chart_of([Series(f's{number}', f'S{number}', points, '0', number > 0) for number in range(2)], True)
    assert [tick.text for tick in drawn.across] == ['0', '5', '10', '15', '20']
    assert drawn.lines[0].band == ''
    assert drawn.lines[1].band.count('L') == 3
    first, second = drawn.lines[0].places
    assert (first.x < second.x, first.y > second.y) == (True, True)
    assert second.words == 'S0: 0.800 (0.75\N{EN DASH}0.85) with 20 labels'
    assert all(0 < place.y < drawn.bottom for line in drawn.lines for place in line.places)
    assert chart_of([]) is None
