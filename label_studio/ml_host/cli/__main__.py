"""``python -m label_studio.ml_host.cli``: how the server starts its workers."""

import sys

from label_studio.ml_host.cli import main

if __name__ == '__main__':
    sys.exit(main())
