"""A worker that is started again comes up, wherever the server's process was led meanwhile."""

from label_studio.ml_host.bootstrap import UPSTREAM_ROOT
from label_studio.ml_host.launcher import services
from label_studio.ml_host.launcher.data_dir import VARIABLE, log_dir
from label_studio.ml_host.queues import SOCKET_VARIABLE


def test_a_directory_with_modules_of_known_names_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    # Upstream goes there to read its version, and two requests at once may leave the process there.
    monkeypatch.chdir(UPSTREAM_ROOT / 'core')
    worker = services._spawn_worker()
    try:
        status = worker.wait(60)
    finally:
        worker.kill()
    said = (log_dir(tmp_path) / services.WORKER_LOG).read_text()
    # It got as far as to miss the server that it is to work for.
    assert (status, 'There is no queue to work on' in said) == (1, True), said
