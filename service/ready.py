"""How a process tells its supervisor that it has begun to work."""

import os
from pathlib import Path

READY_FILE = "CARINA_READY_FILE"
"""Names the file that appears when the process is ready; unset: nobody wants to know."""


def announce(*_: object, **__: object) -> None:
    """Say that this process is ready now; may be connected to any signal."""
    path = os.environ.get(READY_FILE, "")
    if path:
        Path(path).write_text(str(os.getpid()), encoding="ascii")


def announce_with_celery() -> None:
    """Say it when the Celery worker of this process takes its first message."""
    from celery.signals import worker_ready  # noqa: PLC0415  (only workers pay for Celery)

    worker_ready.connect(announce, weak=False)
