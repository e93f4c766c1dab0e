"""``label-studio version``: what runs here. Upstream's own command would prepare the database first."""

from __future__ import annotations

import json

from label_studio import __version__
from label_studio.ml_host import bootstrap
from label_studio.ml_host.cli.options import name_settings, shared_options
from label_studio.ml_host.launcher.data_dir import DataDirError, use_data_dir


def main(argv: list[str]) -> int:
    """Print the version of the fork, and of upstream's parts."""
    parser = shared_options(prog='label-studio version', description='Print version info.', add_help=True)
    options = parser.parse_args(argv)
    try:
        use_data_dir(options.data_dir)
    except DataDirError as error:
        raise SystemExit(str(error)) from error
    name_settings(options)
    bootstrap.setup()
    from label_studio.ml_host.upstream import collect_versions

    print('\nLabel Studio version:', __version__, '\n')
    print(json.dumps(collect_versions(), indent=4))
    return 0
