"""Run a foreign program so that it ends with our server: ``python -S -E leash.py SIGNAL PARENT COMMAND...``.

On Linux the request to the kernel outlives ``exec``, so nothing but the program itself stays. Elsewhere this script
stays as a small parent that watches its own parent.
"""

import os
import signal
import subprocess
import sys
import time

from lifetime import POLL_SECONDS, die_with_parent


def main(arguments: list[str]) -> int:
    """Start the command on a leash; returns its exit status where the script stays."""
    number, parent, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == 'linux':
        die_with_parent(number, parent)
        os.execv(command[0], command)
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    while child.poll() is None:
        if os.getppid() != parent:
            child.send_signal(number)
        time.sleep(POLL_SECONDS)
    return child.returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
