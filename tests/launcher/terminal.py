"""A command on a terminal of its own, as a person sees it."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time


class Terminal:
    """Runs a command on a pseudo-terminal; `text` is all that it has shown."""

    def __init__(self, command: list, environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self._file = ours
        self.text = ''
        self._seen = 0
        # The terminal controls a session of its own: passwords are read from it, and Ctrl-C is sent by it.
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def expect(self, words: str, seconds: float = 60.0) -> str:
        """Wait for words after those expected before; returns what was shown up to them."""
        deadline = time.monotonic() + seconds
        while words not in self.text[self._seen :]:
            assert self._read(deadline), f'{words!r} was not shown; the end is {self.text[-600:]!r}'
        start, self._seen = self._seen, self.text.index(words, self._seen) + len(words)
        return self.text[start : self._seen]

    def send(self, line: str) -> None:
        """Type a line."""
        os.write(self._file, f'{line}\n'.encode())

    def press(self, key: bytes) -> None:
        """Press a key, e.g. ``b'\\x04'`` for Ctrl-D."""
        # Nobody is as quick as to press it between the prompt and the reading after it.
        time.sleep(0.5)
        os.write(self._file, key)

    def end(self, seconds: float = 60.0) -> int:
        """Read to the end; returns the exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        """Leave nothing running."""
        self.process.kill()
        self.process.wait()
        os.close(self._file)

    def _read(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._file], [], [], left)[0]:
            return False
        try:
            data = os.read(self._file, 65536)
        except OSError:
            # The last process on it has ended.
            return False
        self.text += data.decode(errors='replace')
        return bool(data)
