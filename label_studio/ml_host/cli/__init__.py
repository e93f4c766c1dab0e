"""The `label-studio` command: our own commands, and upstream's for everything else.

Nothing here imports Django: help, the list of plugins and the logs are there at once.
"""

from __future__ import annotations

import sys
from importlib import import_module

OURS = {
    'start': 'Start Label Studio with its queue and its training worker',
    'serve': 'Serve ML backends to other Label Studios, without pages',
    'worker': 'Run a training worker',
    'plugins': 'List, check and create ML backends',
    'logs': 'Show the runtime log, or the log of a training run',
    'version': 'Print version info',
}
UPSTREAM = {
    'user': 'Print user info',
    'init': 'Create a user and a project without starting the server',
    'reset_password': 'Reset the password of a user',
    'shell': 'Run the Django shell',
    'export': 'Export a project: export PROJECT_ID FORMAT',
    'calculate_stats_all_orgs': 'Calculate task counters and statistics',
    'annotations_fill_updated_by': 'Fill the updated_by field of annotations',
}
WINDOWS = (
    'Label Studio with models inside does not run on Windows itself; run it in WSL, the Windows Subsystem for Linux '
    '(https://learn.microsoft.com/windows/wsl).'
)


def main(argv: list[str] | None = None) -> int:
    """Console entry point; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.platform == 'win32':
        print(WINDOWS, file=sys.stderr)
        return 1
    command, rest = split_command(arguments)
    if command is None:
        if '-h' in rest or '--help' in rest:
            print(overview())
            return 0
        command = 'version' if '--version' in rest else 'start'
    if command in OURS:
        return import_module(f'label_studio.ml_host.cli.{command}').main(rest) or 0
    return run_upstream(command, rest)


def split_command(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The command, and what is left without it; shared options may stand before the command, as in upstream."""
    known = {**OURS, **UPSTREAM}
    if arguments and arguments[0] in known:
        return arguments[0], arguments[1:]
    from label_studio.ml_host.cli.options import shared_options

    unknown = shared_options().parse_known_args(arguments)[1]
    for word in unknown:
        if word in known:
            place = arguments.index(word)
            return word, arguments[:place] + arguments[place + 1 :]
        if not word.startswith('-'):
            raise SystemExit(f'There is no command "{word}". Commands: {", ".join(known)}')
    return None, arguments


def overview() -> str:
    """The text of ``label-studio --help``."""
    lines = ['usage: label-studio COMMAND [OPTIONS]', '', 'Label Studio with models inside.', '', 'commands:']
    lines += [f'  {name:<28}{text}' for name, text in {**OURS, **UPSTREAM}.items()]
    lines += [
        '',
        'Without a command the server is started. "label-studio COMMAND --help" shows the options, among them:',
        '  --template NAME              template of the new project, e.g. image_classification',
        '  --ml-backend-name NAME       ML backend to enable, e.g. image_classifier',
        '  --ml-backend-url URL         ML backend that runs elsewhere, reached by HTTP',
        '',
        'example: label-studio start imgcls --init --template image_classification --ml-backend-name image_classifier',
    ]
    return '\n'.join(lines)


def run_upstream(command: str, rest: list[str]) -> int:
    """Hand a command to upstream, with our settings."""
    if '-h' in rest or '--help' in rest:
        return _upstream_help(command)
    from label_studio.ml_host import bootstrap
    from label_studio.ml_host.cli.options import name_settings, shared_options, take_data_dir
    from label_studio.ml_host.cli.prepare import prepare_database
    from label_studio.ml_host.launcher.data_dir import DataDirError, use_data_dir

    given, rest = take_data_dir(rest)
    try:
        use_data_dir(given)
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    name_settings(shared_options().parse_known_args(rest)[0])
    bootstrap.setup()
    # Upstream does it too, without a sign of life for a minute.
    prepare_database()
    from label_studio.ml_host.upstream import server_main

    sys.argv = [sys.argv[0], command, *rest]
    return server_main() or 0


def _upstream_help(command: str) -> int:
    from label_studio.ml_host.cli.options import shared_options

    parser = shared_options(prog=f'label-studio {command}', description=UPSTREAM[command], add_help=True)
    if command == 'export':
        parser.add_argument('project_id')
        parser.add_argument('export_format', help='JSON, JSON_MIN, CSV, …')
        parser.add_argument('--export-path', help='file or directory')
        parser.add_argument('--export-serializer-context', help='JSON')
    elif command == 'init':
        parser.add_argument('project_name', nargs='?')
        parser.add_argument('-q', '--quiet', action='store_true', help='do not ask for email and password')
    parser.print_help()
    return 0
