"""Folders for whole installations: open enough for the user that Postgres runs as under root."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def home_folder() -> Iterator[Path]:
    """Give a fresh folder; pytest's own are closed to every other user."""
    folder = Path(tempfile.mkdtemp(prefix="carina-home-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
