"""Django admin: the tables, and the toggle on the project."""

import pytest

from label_studio.ml_host.models import (
    BackendEvent,
    LabelReview,
    PrelabelRun,
    PrelabelShard,
    ProjectBackend,
    ReplayRun,
    TrainingRun,
)
from label_studio.ml_host.upstream import UpstreamMLBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(owner, sign_in):
    owner.is_staff = owner.is_superuser = True
    owner.save()
    client = sign_in(owner)
    client.handler.enforce_csrf_checks = False
    return client


def save(admin, project, **inline):
    url = f'/admin/projects/project/{project.pk}/change/'
    page = admin.get(url)
    assert page.status_code == 200
    form = page.context['adminform'].form
    data = {}
    for name in form.fields:
        value = form[name].value()
        if value is None or value is False:
            continue
        split = form.fields[name].widget.decompress(value) if hasattr(form.fields[name].widget, 'decompress') else None
        data.update({f'{name}_{index}': part for index, part in enumerate(split)} if split else {name: value})
    formset = page.context['inline_admin_formsets'][0].formset
    data.update({f'{formset.prefix}-{key}': value for key, value in formset.management_form.initial.items()})
    for index, entry in enumerate(formset.initial_forms):
        data[f'{formset.prefix}-{index}-id'] = entry.instance.pk
        data[f'{formset.prefix}-{index}-project'] = project.pk
    data.update({f'{formset.prefix}-{key}': value for key, value in inline.items()})
    return admin.post(url, data, follow=True)


def test_every_table_renders(admin, project, learner):
    TrainingRun.objects.create(project=project, backend='learner')
    PrelabelRun.objects.create(project=project, backend='learner', label='learner-v1', selection=b'packed', total=5)
    assert admin.get('/admin/').status_code == 200
    replay = ReplayRun.objects.create(project=project, backend='learner')
    LabelReview.objects.create(project=project, task_id=1, annotation_id=2, control='c', given='cat', verdict='right')
    analyses = ('replayrun', 'labelerrorrun', 'labelreview', f'replayrun/{replay.pk}/change')
    tables = ('projectbackend', 'modelversion', 'trainingrun', 'prelabelrun', 'backendevent', 'failurerecord')
    for table in (*tables, *analyses):
        assert admin.get(f'/admin/ml_host/{table}/').status_code == 200, table
    assert admin.get('/admin/ml_host/trainingrun/add/').status_code == 403


def test_a_prelabeling_can_be_looked_at_and_not_changed(admin, project):
    run = PrelabelRun.objects.create(project=project, backend='learner', label='learner-v1', selection=b'x', total=5)
    PrelabelShard.objects.create(run=run, first_id=1, last_id=5, done=3)
    page = admin.get('/admin/ml_host/prelabelrun/').content.decode()
    assert '<td class="field-done">3</td>' in page and 'learner-v1' in page
    assert admin.get(f'/admin/ml_host/prelabelrun/{run.pk}/change/').status_code == 200
    assert admin.post(f'/admin/ml_host/prelabelrun/{run.pk}/change/', {'state': 'finished'}).status_code == 403
    assert admin.get('/admin/ml_host/prelabelrun/add/').status_code == 403


def test_the_inline_switches_through_the_service(admin, project, owner, learner):
    response = save(admin, project, **{'0-backend': 'learner', '0-enabled': 'on', '0-project': project.pk})
    assert response.redirect_chain, response.context['adminform'].form.errors
    assert ProjectBackend.objects.get().enabled
    assert UpstreamMLBackend.objects.get().url == 'plugin://learner'
    save(admin, project, **{'0-backend': 'learner'})
    assert not ProjectBackend.objects.get().enabled
    assert list(BackendEvent.objects.order_by('id').values_list('action', 'user')) == [
        ('enabled', owner.pk),
        ('disabled', owner.pk),
    ]


def test_a_refusal_becomes_a_message(admin, project, learner):
    project.label_config = '<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>'
    project.save()
    response = save(admin, project, **{'0-backend': 'learner', '0-enabled': 'on', '0-project': project.pk})
    assert 'needs &lt;Choices&gt;' in response.content.decode()
    assert not ProjectBackend.objects.filter(enabled=True).exists()


def test_the_row_s_own_page_switches_too(admin, project, learner):
    row = ProjectBackend.objects.create(project=project, backend='learner')
    admin.post(f'/admin/ml_host/projectbackend/{row.pk}/change/', {'enabled': 'on'})
    row.refresh_from_db()
    assert row.enabled and row.connection is not None
