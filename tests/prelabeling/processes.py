"""Real server and worker processes for tests of bulk runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(__file__).with_name('web_process.py')


class Processes:
    """Forks processes that share a data directory; all end with it.

    Args:
        environment: Settings of every process.
    """

    def __init__(self, data_dir: Path, **environment: str) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith('LABEL_STUDIO_')}
        inherited['LABEL_STUDIO_BASE_DATA_DIR'] = str(data_dir)
        self._log = (data_dir / 'processes.log').open('ab')
        self.log_path = data_dir / 'processes.log'
        self._parent = subprocess.Popen(
            [sys.executable, PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**inherited, **environment},
        )
        self._running: list[int] = []
        self._read()

    def prepare(self, tasks: int) -> int:
        """Make a project; returns its number."""
        return self._ask('prepare', tasks=tasks)['project']

    def start_run(self, project: int) -> int:
        """Queue a run; returns its number."""
        return self._ask('start_run', project=project)['run']

    def report(self) -> dict:
        """What stands in the database."""
        return self._ask('report')

    def serve(self, port: int, **options: bool) -> int:
        """Start a web server; returns its process id."""
        return self._spawn('serve', port=port, **options)

    def work(self, burst: bool = False, queue: str = 'ml_predict') -> int:
        """Start a worker; returns its process id."""
        return self._spawn('work', burst=burst, queue=queue)

    def do(self, command: str, **arguments) -> dict:
        """Call one of the functions of `web_process.py`."""
        return self._ask(command, **arguments)

    def kill(self, pid: int) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def stop(self, pid: int) -> None:
        """SIGTERM, and wait for the end."""
        os.kill(pid, signal.SIGTERM)
        self.wait(pid)

    def wait(self, pid: int) -> None:
        """Wait for a process to end."""
        self._ask('wait', pid=pid)
        self._running.remove(pid)

    def until(self, check, seconds: float = 60.0, command: str = 'report') -> dict:
        """Report until a check on the report holds."""
        end = time.monotonic() + seconds
        while not check(found := self._ask(command)):
            assert time.monotonic() < end, (found, self.log_path.read_text()[-3000:])
            time.sleep(0.1)
        return found

    def close(self) -> None:
        """End everything."""
        for pid in list(self._running):
            self.kill(pid)
        self._parent.stdin.close()
        self._parent.wait(20)
        self._log.close()

    def _spawn(self, command: str, **arguments) -> int:
        pid = self._ask(command, **arguments)['pid']
        self._running.append(pid)
        return pid

    def _ask(self, command: str, **arguments) -> dict:
        self._parent.stdin.write(json.dumps({'command': command, **arguments}) + '\n')
        self._parent.stdin.flush()
        return self._read()

    def _read(self) -> dict:
        line = self._parent.stdout.readline()
        assert line, self.log_path.read_text()[-3000:]
        answer = json.loads(line)
        assert answer != {'failed': answer.get('failed')}, (answer, self.log_path.read_text()[-3000:])
        return answer
