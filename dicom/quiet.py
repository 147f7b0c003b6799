"""Read with pydicom without its warnings, which repeat values of the header.

A warning such as "Invalid value for VR DA: '...'" carries patient data to standard error, and to
the logger of pydicom as well, so none is let through: importing this module is enough for the
loggers. What is wrong with a value is found by the checks of the reader.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# warnings.catch_warnings swaps a list of the whole process, so two threads must not do it at once.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def reading() -> Iterator[None]:
    """Keep warnings of pydicom from being shown inside the block. One thread at a time."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def silence_libraries() -> None:
    """Switch off the loggers of pydicom and pynetdicom: their records hold what was received."""
    for name in ("pydicom", "pynetdicom"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)


silence_libraries()
