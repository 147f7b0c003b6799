"""A real Celery worker on a stand-in for the network that dies of, or hangs on, marked films.

``python stumbling_worker.py QUEUE`` with ``CARINA_…`` settings; ``DEADLY``, ``ENDLESS`` and
``STUBBORN`` hold the SOP Instance UIDs of the films that end the process, never come back, or never
come back and hear no signal (as in a kernel that hangs), joined by commas. The network takes
``LOAD_S`` seconds to load, a child does ``TASKS_PER_CHILD`` tasks, and each film leaves the id of
the process that looked at it in the file ``LOOKS``.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from models.fakes import FakeEye
from models.values import ChestImage, Sight
from service import celery_settings, logs
from service.settings import load
from workers import app


class StumblingEye(FakeEye):
    """Sees what ``FakeEye`` sees, unless a film is marked."""

    def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
        uids = {image.image_id for image in images}
        if note := os.environ.get("LOOKS"):
            with Path(note).open("a") as file:
                file.write(f"{os.getpid()}\n" * len(images))
        if uids & marked("DEADLY"):
            os._exit(1)
        if uids & marked("STUBBORN"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
            threading.Event().wait()
        if uids & marked("ENDLESS"):
            threading.Event().wait()
        return FakeEye.look(self, images)


def marked(name: str) -> set[str]:
    return set(filter(None, os.environ.get(name, "").split(",")))


def slowly(_: object) -> StumblingEye:
    time.sleep(float(os.environ.get("LOAD_S", "0")))
    return StumblingEye()


if __name__ == "__main__":
    settings = load()
    if tasks := os.environ.get("TASKS_PER_CHILD"):
        celery_settings._WORKERS = {
            **celery_settings._WORKERS,
            "worker_max_tasks_per_child": int(tasks),
        }
    logs.configure(settings, "stumbling-worker")
    sys.exit(app.run(settings, "work", sys.argv[1], slowly))
