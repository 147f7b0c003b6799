"""Result objects on disk for tests of sending: valid on the wire, and of no clinical meaning."""

import hashlib
import io
from pathlib import Path
from uuid import UUID, uuid4

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from dicom import uids
from dicom.values import InstanceRef, KeptResult, ResultKind

SOP_CLASSES = {
    ResultKind.ANATOMY_SEG: "1.2.840.10008.5.1.4.1.1.66.4",
    ResultKind.FINDING_SEG: "1.2.840.10008.5.1.4.1.1.66.4",
    ResultKind.PICTURES: "1.2.840.10008.5.1.4.1.1.7",
    ResultKind.BOX_SR: "1.2.840.10008.5.1.4.1.1.88.34",
    ResultKind.TEXT_SR: "1.2.840.10008.5.1.4.1.1.88.22",
}


def keep(folder: Path, ref: InstanceRef, kind: ResultKind, *, size_bytes: int = 2000) -> KeptResult:
    """Write one object of about ``size_bytes`` and say what was written."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = ref.sop_class_uid, ref.sop_instance_uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = ref.study_instance_uid, ref.series_instance_uid
    ds.PatientID, ds.PatientName = "T1", "Test^Only"
    ds.Modality = "OT"
    # An element of odd length under the wrong VR order would not survive decoding and encoding
    # again unchanged, so it tells whether the bytes were streamed.
    ds.add_new(0x00091001, "UN", bytes(range(256)) * (size_bytes // 256))
    ds.add_new(0x00090010, "LO", "CARINA TEST")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ref.sop_class_uid
    meta.MediaStorageSOPInstanceUID = ref.sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-1.dcm"
    path.write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return KeptResult(ref, kind, 1, str(ExplicitVRLittleEndian), path, digest)


def a_result_set(
    folder: Path, *kinds: ResultKind, job_id: UUID | None = None, size_bytes: int = 2000
) -> tuple[KeptResult, ...]:
    """Return kept results of one study, one per kind (all kinds when none is named)."""
    job_id = job_id or uuid4()
    study = generate_uid()
    return tuple(
        keep(
            folder,
            InstanceRef(
                study,
                uids.for_series(job_id, kind),
                SOP_CLASSES[kind],
                uids.for_result(job_id, kind, 1),
            ),
            kind,
            size_bytes=size_bytes,
        )
        for kind in kinds or tuple(ResultKind)
    )


def data_set_bytes(part10: bytes) -> bytes:
    """Return what follows the file meta information (PS3.10 section 7.1)."""
    group_length = int.from_bytes(part10[140:144], "little")
    return part10[144 + group_length :]
