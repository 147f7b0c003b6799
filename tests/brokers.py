"""A real broker for tests: Valkey on a free port, or the one that ``CARINA_TEST_BROKER`` names.

The latter runs the same tests against RabbitMQ:
``CARINA_TEST_BROKER=amqp://… pytest tests/integration/test_workers.py``.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from orthanc import free_port
from redis import Redis
from redis.exceptions import ConnectionError as NotYet

from service.embedded import binaries

START_S = 15.0


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run one in ``folder``, unless another is named; give the URL of the broker."""
    if named := os.environ.get("CARINA_TEST_BROKER", ""):
        yield named
        return
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    program = binaries.valkey().folder / "valkey-server"
    arguments = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with (folder / "valkey.log").open("ab") as log:
        process = subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    with Redis(port=port) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(NotYet):
                client.ping()
                return
            time.sleep(0.02)
    raise RuntimeError("Valkey did not start")
