"""A real Celery worker on a stand-in for the network that dies of, or hangs on, marked films.

``python stumbling_worker.py QUEUE`` with ``CARINA_…`` settings; ``DEADLY``, ``ENDLESS`` and
``STUBBORN`` hold the SOP Instance UIDs of the films that end the process, never come back, or never
come back and hear no signal (as in a kernel that hangs), joined by commas.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence

from models.fakes import FakeEye
from models.values import ChestImage, Sight
from service import logs
from service.settings import load
from workers import app


class StumblingEye(FakeEye):
    """Sees what ``FakeEye`` sees, unless a film is marked."""

    def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
        uids = {image.image_id for image in images}
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


if __name__ == "__main__":
    settings = load()
    logs.configure(settings, "stumbling-worker")
    sys.exit(app.run(settings, "work", sys.argv[1], lambda _: StumblingEye()))
