"""Keep an object that the service itself makes, as workers keep theirs, before anything is sent."""

import hashlib
import os
from typing import TYPE_CHECKING

from dicom.values import KeptResult
from service.db.tables import ResultRow
from service.files import sync_folder

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from dicom.values import ResultInstance

ATTEMPT = "1"  # the folder of the first attempt, which is the only one here


def keep(session: "Session", root: "Path", job_id: "UUID", made: "ResultInstance") -> KeptResult:
    """Write an object into the folder of a job and record it; it is on the disk on return."""
    kept = write(root / str(job_id) / ATTEMPT, made)
    session.add(
        ResultRow(
            job_id=job_id,
            kind=made.kind.value,
            number=made.number,
            study_instance_uid=made.ref.study_instance_uid,
            series_instance_uid=made.ref.series_instance_uid,
            sop_class_uid=made.ref.sop_class_uid,
            sop_instance_uid=made.ref.sop_instance_uid,
            transfer_syntax_uid=made.transfer_syntax_uid,
            path=kept.path.relative_to(root).as_posix(),
            sha256=kept.sha256,
            size_bytes=len(made.content),
        )
    )
    session.flush()
    return kept


def found(folder: "Path", made: "ResultInstance") -> KeptResult | None:
    """Return what lies there from an earlier try at the same object, if it does."""
    path = folder / f"{made.kind}-{made.number}.dcm"
    if not path.is_file():
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return KeptResult(made.ref, made.kind, made.number, made.transfer_syntax_uid, path, digest)


def write(folder: "Path", made: "ResultInstance") -> KeptResult:
    """Write an object so that readers see all of it or nothing, and it outlives a power cut."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{made.kind}-{made.number}.dcm"
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(made.content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    for changed in (folder, folder.parent, folder.parent.parent):
        sync_folder(changed)
    digest = hashlib.sha256(made.content).hexdigest()
    return KeptResult(made.ref, made.kind, made.number, made.transfer_syntax_uid, path, digest)
