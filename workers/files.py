"""Keep encoded results on disk before anything is sent (design rule 3)."""

import hashlib
import os
from typing import TYPE_CHECKING

from dicom import failpoints, spool
from dicom.failpoints import Failpoint
from dicom.values import KeptResult
from service.files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dicom.values import ResultInstance


def keep(folder: "Path", results: "Sequence[ResultInstance]") -> tuple[KeptResult, ...]:
    """Write each result into ``folder`` and return what was kept, in the same order.

    On return every byte and every name is on the disk. ``folder`` belongs to one attempt at one
    job, so a worker that lost its fence can never change what the winner keeps.
    """
    spool.make_durably(folder)
    kept = tuple(_keep_one(folder, result) for result in results)
    for changed in (folder, folder.parent, folder.parent.parent):
        sync_folder(changed)
    failpoints.reach(Failpoint.RESULTS_SYNCED)
    return kept


def write_whole(path: "Path", content: bytes) -> None:
    """Write a file so that readers see the old one or the new one, and it is on the disk."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _keep_one(folder: "Path", result: "ResultInstance") -> KeptResult:
    path = folder / f"{result.kind}-{result.number}.dcm"
    write_whole(path, result.content)
    failpoints.reach(Failpoint.RESULT_KEPT)
    digest = hashlib.sha256(result.content).hexdigest()
    return KeptResult(
        ref=result.ref,
        kind=result.kind,
        number=result.number,
        transfer_syntax_uid=result.transfer_syntax_uid,
        path=path,
        sha256=digest,
    )
