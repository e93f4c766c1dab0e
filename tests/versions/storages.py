"""Storages for tests: one that counts what is read and takes its time, one that fails at first."""

import time
from pathlib import Path

from django.core.files.storage import FileSystemStorage


class SlowStorage(FileSystemStorage):
    """Notes each file that is opened in a log beside its folder."""

    def _open(self, name, mode='rb'):
        with Path(f'{self.location}.log').open('a') as log:
            log.write(f'{name}\n')
        time.sleep(0.05)
        return super()._open(name, mode)


class FailingStorage(FileSystemStorage):
    """Breaks off in the middle of the first writes and reads."""

    left = 0

    def _save(self, name, content):
        saved = super()._save(name, content)
        self._fail(saved)
        return saved

    def _open(self, name, mode='rb'):
        self._fail()
        return super()._open(name, mode)

    def _fail(self, half=None):
        if type(self).left > 0:
            type(self).left -= 1
            if half:
                Path(self.path(half)).write_bytes(b'half')
            raise ConnectionResetError('connection reset by peer')
