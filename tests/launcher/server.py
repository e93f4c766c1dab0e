"""`label-studio start` as a real process."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(sys.executable).parent / 'label-studio'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def processes_of(directory: Path) -> dict[int, str]:
    """Living processes that have the data directory in their environment, or work in it: Redis overwrites the first."""
    found = {}
    wanted = f'LABEL_STUDIO_BASE_DATA_DIR={directory}'.encode()
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
            is_ours = wanted in (folder / 'environ').read_bytes().split(b'\0')
            if state != 'Z' and (is_ours or (folder / 'cwd').readlink().is_relative_to(directory)):
                found[int(folder.name)] = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
        except OSError:
            continue
    return found


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


class Server:
    """The command, read up to its ready line."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self.port = free_port()
        command = [PROGRAM, 'start', *arguments, '--no-browser', '--port', str(self.port)]
        environment = {**os.environ, 'LABEL_STUDIO_BASE_DATA_DIR': str(directory)}
        for name in [name for name in environment if 'REDIS' in name]:
            del environment[name]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if 'ready at' in line:
                return
        raise AssertionError(''.join(self.lines))

    def processes(self) -> dict[int, str]:
        """Its living processes with their commands."""
        return processes_of(self.directory)

    def has_worker(self) -> bool:
        return any('worker' in command for command in self.processes().values())
