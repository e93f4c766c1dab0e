#!/usr/bin/env python
"""Django's commands from a checkout, with the settings of the console command."""

import sys

from label_studio.ml_host import bootstrap

if __name__ == '__main__':
    bootstrap.prepare()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
