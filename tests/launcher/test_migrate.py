"""The progress that people see while the database is prepared, and plugins whose migrations are broken."""

import io

import pytest

from label_studio.ml_host.launcher import migrate
from ml_plugins.failures import Stage, failure_log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_drawn_over():
    stream = Terminal()
    progress = migrate.Progress(2, stream)
    progress.show('tasks.0001_initial')
    progress.step('tasks.0001_initial')
    progress.step('tasks.0002_more')
    progress.finish()
    text = stream.getvalue()
    assert ' 50 %  1/2 [########        ] tasks.0001_initial' in text
    assert '100 %  2/2' in text
    assert text.count('\n') == 1


def test_a_line_fits_the_terminal_so_that_it_can_be_drawn_over(monkeypatch):
    monkeypatch.setenv('COLUMNS', '50')
    stream = Terminal()
    migrate.Progress(262, stream).step('tasks.0001_squashed_0041_taskcompletionhistory_was_cancelled')
    [line] = stream.getvalue().split('\r\033[K')[1:]
    assert 40 < len(line) < 50
    assert '1/262' in line


def test_a_log_gets_a_line_for_each_tenth():
    stream = io.StringIO()
    progress = migrate.Progress(400, stream)
    for number in range(400):
        progress.step(f'tasks.{number}')
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith('Preparing the database 100 %')


def test_nothing_is_pending_on_a_migrated_database(db):
    assert migrate.pending() == 0
    stream = io.StringIO()
    migrate.migrate(stream)
    assert stream.getvalue() == ''


@pytest.mark.django_db(transaction=True)
def test_missing_migrations_are_applied_with_progress():
    from django.core.management import call_command
    from django.db import connection

    call_command('migrate', 'ml_host', 'zero', verbosity=0)
    assert 'ml_host_projectbackend' not in connection.introspection.table_names()
    stream = io.StringIO()
    migrate.migrate(stream)
    assert 'ml_host_projectbackend' in connection.introspection.table_names()
    assert 'ml_host' in stream.getvalue()


@pytest.mark.django_db(transaction=True)
def test_what_a_migration_prints_goes_to_the_log(tmp_path, monkeypatch, capsys, caplog):
    package = tmp_path / 'talkative_migrations'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / '0001_initial.py').write_text(
        'from django.db import migrations\n'
        'def talk(apps, schema_editor):\n    print("Normalized 0/0 paths")\n    print("twice")\n'
        'class Migration(migrations.Migration):\n    operations = [migrations.RunPython(talk)]\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from django.conf import settings

    modules = {**settings.MIGRATION_MODULES, 'image_classifier': package.name}
    monkeypatch.setattr(settings, 'MIGRATION_MODULES', modules)
    with caplog.at_level('INFO', logger=migrate.logger.name):
        migrate.migrate(io.StringIO())
    assert capsys.readouterr().out == ''
    assert [record.message for record in caplog.records] == ['Normalized 0/0 paths', 'twice']


@pytest.mark.django_db(transaction=True)
def test_a_broken_migration_of_a_plugin_stops_only_that_plugin(tmp_path, monkeypatch):
    package = tmp_path / 'broken_plugin_migrations'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / '0001_initial.py').write_text('raise RuntimeError("written on a Friday")')
    monkeypatch.syspath_prepend(str(tmp_path))
    from django.conf import settings

    modules = {**settings.MIGRATION_MODULES, 'image_classifier': package.name}
    monkeypatch.setattr(settings, 'MIGRATION_MODULES', modules)
    failure_log.clear()
    try:
        migrate.migrate(io.StringIO())
        [failure] = failure_log.of('image_classifier')
    finally:
        failure_log.clear()
    assert failure.stage is Stage.MIGRATE
    assert 'written on a Friday' in failure.error
    assert modules == settings.MIGRATION_MODULES
