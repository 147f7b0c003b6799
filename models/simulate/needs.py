"""What simulating needs beyond the libraries of the service; asked for before it is imported."""

import importlib

from models.errors import LibraryMissing

LIBRARY = "torch"


def check() -> None:
    """Refuse to simulate where a library is missing; to be called before the other modules load.

    Raises
    ------
    LibraryMissing
        Says what to install.
    """
    try:
        importlib.import_module(LIBRARY)
    except (ImportError, OSError) as error:  # the latter for a shared library that does not load
        raise LibraryMissing(
            f"simulating needs {LIBRARY}, which is not installed here or does not load"
            f" ({type(error).__name__}): `pip install {LIBRARY}` in Carina's environment"
            " (the build for CPUs is enough), or `make torch` in a checkout"
        ) from error
