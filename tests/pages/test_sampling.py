"""Active learning on the ML backends page: the switch, the settings, and what it says of whether it is worth it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from label_studio.ml_host.models import BackendEvent, SampledTask, SamplingFindings, SamplingPlan
from label_studio.ml_host.pages.curves import Point, Series, chart_of
from label_studio.ml_host.sampling import feeding
from label_studio.ml_host.sampling.findings import falling
from ml_plugins import Prediction

pytestmark = pytest.mark.django_db

FORM = {
    'strategy': 'power',
    'strategy-power-beta': '2',
    'strategy-automatic-first_labels': '99',
    'explore_percent': '12.5',
    'batch': '20',
    'stop': ['budget', 'overall_uncertainty'],
    'criterion-budget-labels': '300',
    'criterion-overall_uncertainty-below': '0.05',
    'criterion-marginal_gain-points': '7',
}


def point(labels, accuracy):
    return {'labels': labels, 'accuracy': accuracy, 'low': accuracy - 0.1, 'high': min(1.0, accuracy + 0.1)}


def series(name, *points):
    return Series(name, name, [Point(labels, score, score - 0.1, score + 0.1) for labels, score in points], name)


def arms(**values):
    return {
        'active': [point(5, 0.4), point(40, 0.8), point(120, 0.9)],
        'random': [point(5, 0.4), point(24, 0.6)],
        'saved': 40.4,
        'saved_low': 12.0,
        'saved_high': 1070.2,
        'p_worse': 0.98,
        'worse': False,
        'sentence': 'About 40 labels saved so far (12 to 1070).',
        **values,
    }


@pytest.fixture(autouse=True)
def _own_answers(settings, tmp_path):
    settings.ML_ANSWER_DIR = tmp_path / 'answers'


@pytest.fixture
def on(press, constant):
    """Switched on, on the page."""
    press('constant/enable/')
    return press('constant/sampling/switch/', {'on': 'on'}).content.decode()


@pytest.fixture
def show(browser, project):
    def _show():
        return browser.get(f'/projects/{project.pk}/ml-backends/').content.decode()

    return _show


@pytest.fixture
def part(browser, project):
    """Ask for the part that is asked for every two seconds."""

    def _part(seen):
        return browser.get(f'/projects/{project.pk}/ml-backends/constant/sampling/?seen={seen}')

    return _part


def seen_in(text):
    return text.partition('constant/sampling/?seen=')[2].partition('"')[0]


def test_the_switch(on, press, owner):
    assert 'data-samples="on"' in on and '0 chosen tasks wait' in on
    assert 'Nothing to say yet' in on
    plan = SamplingPlan.objects.get()
    assert (plan.enabled, plan.backend, plan.strategy) == (True, 'constant', 'automatic')
    text = press('constant/sampling/switch/', {'on': 'off'}).content.decode()
    assert 'data-samples="off"' in text and 'constant/sampling/?seen' not in text and 'data-worth' not in text
    assert [event.user for event in BackendEvent.objects.filter(action='sampling')] == [owner, owner]


def test_settings_are_saved_as_they_are_meant(on, press):
    text = press('constant/sampling/settings/', FORM).content.decode()
    assert 'ml-box-error' not in text
    plan = SamplingPlan.objects.get()
    assert (plan.strategy, plan.params, plan.explore, plan.batch) == ('power', {'beta': 2.0}, 0.125, 20)
    assert plan.stop == {'budget': {'labels': 300}, 'overall_uncertainty': {}}
    assert plan.enabled
    for shown in (
        'value="power" selected',
        'name="explore_percent" value="12.5"',
        'name="strategy-power-beta" value="2.0"',
    ):
        assert shown in text, shown
    assert 'value="budget" checked' in text and 'value="marginal_gain" checked' not in text
    # No criterion at all is a choice, too.
    press('constant/sampling/settings/', {**FORM, 'stop': []})
    plan.refresh_from_db()
    assert plan.stop == {}


@pytest.mark.parametrize(
    ('name', 'value', 'expected'),
    [
        ('explore_percent', 'some', 'sampling.explore: &#x27;some&#x27; must be a number'),
        ('explore_percent', '120', 'sampling.explore: 1.2 must be a number from 0.0 to 1.0'),
        ('batch', '0', 'sampling.batch: &#x27;0&#x27; must be a whole number'),
        ('strategy', 'best', 'sampling.strategy: there is no query strategy &quot;best&quot;'),
        ('strategy-power-beta', '-1', 'sampling.params: parameter &quot;beta&quot;'),
        (
            'criterion-budget-labels',
            '0',
            'sampling.stop.budget: parameter &quot;labels&quot;: &#x27;0&#x27; is below 1',
        ),
    ],
)
def test_a_wrong_setting_changes_nothing_and_is_named(on, press, name, value, expected):
    assert expected in press('constant/sampling/settings/', {**FORM, name: value}).content.decode()
    assert SamplingPlan.objects.get().strategy == 'automatic'


def test_what_cannot_work_is_greyed_with_the_reason(on, show, project):
    feeding.keep(project.pk, 'constant-v0', [(1, Prediction([], 0.5, {'choice': [0.5, 0.5]}))])
    text = show()
    assert '<option value="margin">Margin</option>' in text
    assert '<option value="core_set" disabled>Core-set — The ML backend gives no embeddings.</option>' in text
    assert text.index('value="automatic" selected') < text.index('value="random"')


def test_whether_it_is_worth_it(on, show, project):
    plan = SamplingPlan.objects.get()
    advice = {'name': 'budget', 'title': 'Budget', 'active': True, 'stop': True, 'sentence': '120 of 120.', 'value': 1}
    other = {**advice, 'name': 'marginal_gain', 'title': 'Marginal gain', 'active': False, 'sentence': 'Much.'}
    gain = {'ahead': 100, 'gain': 0.0123, 'low': -0.002, 'high': 0.03, 'sentence': 'The next 100 labels …'}
    failed = {'name': 'moody', 'error': 'OSError: <no>'}
    report = {'arms': arms(), 'gain': gain, 'advice': [advice, other], 'failed': [failed]}
    at = timezone.now() - timedelta(minutes=3)
    SamplingFindings.objects.create(plan=plan, report=report, labels=120, computed_at=at)
    text = show()
    for shown in (
        '<dt>Labels saved so far</dt><dd><b>40</b> 12 to 1,070</dd>',
        '<dt>The next 100 labels</dt><dd><b>+1.2</b> points, -0.2 to +3.0</dd>',
        'About 40 labels saved so far (12 to 1070).',
        'From 120 labels, 3\xa0minutes ago.',
        '<b>Labeling may stop.</b> 120 of 120.',
        'could not look and is left out: OSError: &lt;no&gt;',
        'data-line="active"',
        '0.900 (0.80\N{EN DASH}1.00) with 120 labels',
    ):
        assert shown in text, shown
    assert 'Much.' not in text


def test_labels_saved_are_no_figure_while_they_may_as_well_be_lost(on, show):
    plan = SamplingPlan.objects.get()
    sentence = 'No clear difference from random yet: -17 labels saved (-73 to 368).'
    early = {'ahead': 100, 'gain': None, 'low': 0.0, 'high': 0.0, 'sentence': 'Too early to say what they bring.'}
    report = {'arms': arms(saved=-17.0, saved_low=-73.0, saved_high=368.0, sentence=sentence), 'gain': early}
    SamplingFindings.objects.create(plan=plan, report=report, labels=120, computed_at=timezone.now())
    text = show()
    assert 'Too early to say what they bring.' in text
    assert sentence in text and 'Labels saved so far' not in text and 'data-line="active"' in text


def test_a_strategy_that_harms_is_told_and_used_again_by_a_press(on, press, show):
    plan = SamplingPlan.objects.get()
    sentence = 'Active learning is doing worse than random: -9.0 points with as many labels (p = 0.001).'
    SamplingFindings.objects.create(plan=plan, report={'arms': arms(worse=True, sentence=sentence)}, labels=120)
    falling.fall_back(plan, 120, sentence)
    text = show()
    assert 'data-notice="sampling_fell"' in text and 'another try with 240 labels' in text and sentence in text
    assert 'Active learning fell back' in text
    text = press('constant/sampling/use-again/').content.decode()
    assert 'data-notice="sampling_fell"' not in text and 'ml-box-error' not in text
    assert 'it has not fallen back' in press('constant/sampling/use-again/').content.decode()


def test_what_happens_by_itself_draws_the_card_anew(on, part, project):
    seen = seen_in(on)
    plan = SamplingPlan.objects.get()
    task = {'project': project, 'strategy': 'margin'}
    SampledTask.objects.bulk_create(SampledTask(task_id=number, position=number, **task) for number in (1, 2))
    SamplingPlan.objects.update(scored_version='constant-v3', scored_at=timezone.now())
    response = part(seen)
    assert 'HX-Retarget' not in response
    assert '2 chosen tasks wait · chosen by version 3, just now' in response.content.decode()
    SamplingFindings.objects.create(plan=plan, computed_at=timezone.now())
    response = part(seen)
    assert response['HX-Retarget'] == '#ml-card-constant'
    seen = seen_in(response.content.decode())
    assert 'HX-Retarget' not in part(seen)
    SamplingPlan.objects.update(fallback='strategy "x" failed')
    response = part(seen)
    assert 'strategy &quot;x&quot; failed' in response.content.decode() and 'HX-Retarget' in response
    SamplingPlan.objects.update(enabled=False)
    assert 'data-samples="off"' in part(seen_in(response.content.decode())).content.decode()


def test_findings_are_asked_for_by_a_press(on, press):
    text = press('constant/sampling/refresh/').content.decode()
    assert 'Being worked out' in text
    assert SamplingFindings.objects.get().asked_at is not None
    SamplingPlan.objects.update(enabled=False)
    assert 'switch it on first' in press('constant/sampling/refresh/').content.decode()


def test_a_project_that_chooses_with_another_model(on, press, project, owner, inline_plugins):
    from tests.inline_plugins import ConstantBackend

    inline_plugins('second', ConstantBackend)
    text = press('second/enable/').content.decode()
    assert 'chosen with <code>constant</code>' in text and 'ml-sampling-form-second' not in text
    assert 'switch it on with this one' in press('second/sampling/settings/', FORM).content.decode()
    press('second/sampling/switch/', {'on': 'on'})
    assert SamplingPlan.objects.get().backend == 'second'


def test_the_chart_shows_few_labels_as_well_as_many():
    random, active = series('random', (5, 0.4), (40, 0.7)), series('active', (5, 0.3), (4000, 0.9))
    chart = chart_of([random, active])
    first, last = (line.places for line in chart.lines)
    assert first[0].x == last[0].x == chart.left and last[-1].x == chart.right
    # Forty labels of four thousand are not squeezed into the first hundredth.
    assert first[-1].x > chart.left + 0.25 * (chart.right - chart.left)
    assert [tick.text for tick in chart.across] == ['5', '10', '20', '50', '100', '200', '500', '1,000', '2,000']
    assert all(line.path.startswith('M') and line.band.startswith('M') for line in chart.lines)
    assert chart_of([series('random'), active]) is None
    few = chart_of([series('random', (60, 0.4)), series('active', (60, 0.3), (110, 0.5))])
    assert [tick.text for tick in few.across] == ['60', '70', '80', '90', '100', '110']
