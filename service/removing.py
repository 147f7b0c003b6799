"""Remove files so that no power cut can bring one back."""

import shutil
from typing import TYPE_CHECKING

from service.files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def files(paths: "Sequence[Path]") -> None:
    """Remove files, those that are gone already too; that is on the disk when this returns.

    Raises
    ------
    OSError
        If one cannot be removed.
    """
    for path in paths:
        path.unlink(missing_ok=True)
    _sync(paths)


def folders(paths: "Sequence[Path]") -> None:
    """Remove folders with all in them, as :func:`files` does.

    Raises
    ------
    OSError
        If something in them cannot be removed.
    """
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
    _sync(paths)


def _sync(paths: "Sequence[Path]") -> None:
    for folder in {path.parent for path in paths}:
        if folder.is_dir():
            sync_folder(folder)
