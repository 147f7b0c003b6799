"""Record what a killed listener left: files under their final name without a row.

The sender got no answer for them and will send again; until it does the film is not lost.
"""

from itertools import islice
from typing import TYPE_CHECKING

import structlog

from dicom import header, spool
from dicom.errors import DicomError
from dicom.values import Peer
from service import intake, reading
from service.db import queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from service.db.engine import Database
    from service.settings import Settings

AT_ONCE = 500
UNKNOWN_PEER = Peer(calling_ae_title="RECONCILED", called_ae_title="", address="")

log = structlog.get_logger(__name__)


def reconcile(database: "Database", settings: "Settings", now: "datetime") -> int:
    """Record every file of the spool that has no row; return how many there were."""
    root = settings.spool.absolute()
    rules = reading.intake_rules(settings)
    recorded = 0
    for path in _without_row(database, root):
        try:
            received = header.received_from_file(path, UNKNOWN_PEER, now)
            intake.accept(database, received, rules, now)
        except (DicomError, OSError) as error:
            log.warning("file_not_recorded", file=path.name, error=type(error).__name__)
        else:
            recorded += 1
    return recorded


def _without_row(database: "Database", root: "Path") -> "Iterator[Path]":
    files = spool.reconcile(root)
    while batch := {path.relative_to(root).as_posix() for path in islice(files, AT_ONCE)}:
        with database.begin() as session:
            unknown = queries.unknown_paths(session, batch)
        for name in sorted(unknown):
            yield root / name
