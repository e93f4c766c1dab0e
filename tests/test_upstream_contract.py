"""Facts about upstream that the fork relies on: an upgrade that breaks one of them fails here, by name."""

import inspect
from importlib import import_module

import pytest
from django.conf import settings
from django.template.loader import get_template

from label_studio.ml_host import upstream
from label_studio.ml_host.upstream import NAMES, SEAMS, Seam, check_seam


@pytest.mark.parametrize('seam', SEAMS, ids=lambda seam: seam.target)
def test_seam_fits_upstream(seam):
    check_seam(seam)


@pytest.mark.parametrize('seam', SEAMS, ids=lambda seam: seam.target)
def test_seam_is_in_place_and_has_a_replacement(seam):
    owner, name = upstream._resolve(seam.target)
    static = upstream._function(owner, name)
    assert getattr(getattr(static, '__func__', static), 'is_seam', False)
    module, _, function = seam.replacement.partition(':')
    assert callable(getattr(import_module(module), function))
    assert seam.why.endswith('.')


@pytest.mark.parametrize('seam', [seam for seam in SEAMS if seam.receives], ids=lambda seam: seam.target)
def test_replaced_receiver_hears_its_signal_no_more(seam):
    signal, sender = (upstream._member(*upstream._resolve(path)) for path in seam.receives)
    name = seam.target.rpartition(':')[2]
    heard_by = [receiver for receiver in signal._live_receivers(sender)[0] if receiver.__name__ == name]
    assert [getattr(receiver, 'is_seam', False) for receiver in heard_by] == [True]


def test_seam_of_a_function_that_receives_nothing_says_where():
    from django.core.exceptions import ImproperlyConfigured

    signal = ('django.db.models.signals:post_save', 'tasks.models:Annotation')
    seam = Seam('tasks.models:update_task_stats', 'a:b', ('task',), 'Reason.', signal)
    with pytest.raises(ImproperlyConfigured, match=r'tasks\.models:update_task_stats does not receive'):
        upstream._receive_instead(seam, len, len)


@pytest.mark.parametrize('name', sorted(NAMES))
def test_name_of_upstream_resolves(name):
    assert getattr(upstream, name) is not None


def test_seam_that_no_longer_fits_says_where():
    from django.core.exceptions import ImproperlyConfigured

    gone = Seam('tasks.models:Task.no_such_method', 'a:b', ('self',), 'Reason.')
    with pytest.raises(ImproperlyConfigured, match=r'tasks\.models:Task\.no_such_method is gone'):
        check_seam(gone)
    changed = Seam('tasks.models:Task.get_predictions_for_prelabeling', 'a:b', ('self', 'more'), 'Reason.')
    with pytest.raises(ImproperlyConfigured, match='the fork relies on'):
        check_seam(changed)


@pytest.mark.parametrize('block', ['head', 'content', 'bottomjs', 'frontend_settings'])
def test_base_template_has_the_block(block):
    from django.template.loader_tags import BlockNode

    path = import_module('core').__path__[0]
    source = get_template('base.html').template.engine.find_template_loader(
        ('django.template.loaders.filesystem.Loader', [f'{path}/../templates', f'{path}/templates'])
    )
    template = source.get_template('base.html')
    assert block in {node.name for node in template.nodelist.get_nodes_by_type(BlockNode)}


def test_data_manager_actions_can_be_registered():
    from data_manager import actions

    assert list(inspect.signature(actions.register_action).parameters)[:4] == [
        'entry_point',
        'title',
        'order',
        'kwargs',
    ]


def test_nothing_is_sent_home():
    assert not settings.SENTRY_DSN
    assert not settings.FRONTEND_SENTRY_DSN
    assert settings.LATEST_VERSION_CHECK is False
    assert settings.COLLECT_ANALYTICS is False


def test_connection_row_has_the_columns_we_fill():
    columns = {column.name for column in upstream.UpstreamMLBackend._meta.get_fields()}
    assert {'url', 'title', 'project', 'state', 'model_version', 'is_interactive', 'auto_update'} <= columns


def test_prediction_row_has_the_columns_we_fill():
    columns = {column.name for column in upstream.Prediction._meta.get_fields()}
    assert {'result', 'score', 'model_version', 'task', 'project', 'mislabeling'} <= columns


def test_settings_our_own_are_joined_to():
    assert settings.RQ_QUEUES.keys() >= {'critical', 'high', 'default', 'low', 'ml_train'}
    assert settings.DJANGO_DB == 'sqlite' or 'ENGINE' in settings.DATABASES['default']
    assert settings.ROOT_URLCONF == 'label_studio.ml_host.urls'


def test_version_is_the_pinned_one():
    from pathlib import Path

    from label_studio import __version__

    pin = (Path(__file__).parent.parent / 'upstream.txt').read_text(encoding='utf-8')
    assert f'label-studio=={__version__.partition("+")[0]} ' in pin


def test_release_inside_is_untouched_while_it_runs():
    import base64
    import csv
    import hashlib

    from core.version import get_git_version

    from label_studio import __version__
    from label_studio.ml_host.bootstrap import UPSTREAM_ROOT

    # It writes into its own folder when git answers there.
    assert get_git_version().startswith(__version__.partition('+')[0])
    record = next(UPSTREAM_ROOT.parent.glob('*.dist-info/RECORD'))
    for name, digest, _size in csv.reader(record.read_text(encoding='utf-8').splitlines()):
        if digest:
            content = (UPSTREAM_ROOT.parent / name).read_bytes()
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()
            assert digest == f'sha256={found}', f'{name} was edited'
