"""Send files that are not ours to keep: what ``carina send`` does, over real associations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom import quiet
from dicom.associate import accepted, associated
from dicom.errors import AssociationFailed
from dicom.status import is_stored

if TYPE_CHECKING:
    from dicom.associate import Offer, Requestor
    from dicom.values import PacsNode

MAXIMUM_CONTEXTS = 128  # PS3.8 9.3.2: presentation context ids are odd and below 256


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file to send and the presentation context it needs."""

    path: Path
    offer: "Offer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one file; ``words`` say why it was not taken."""

    path: Path
    is_taken: bool
    words: str


def find(paths: Iterable[Path]) -> tuple[tuple[DicomFile, ...], tuple[Path, ...]]:
    """Return the DICOM files among files and folders, and the files that are none.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    """
    found, others = [], []
    for path in _files(paths):
        offer = _offer(path)
        if offer is None:
            others.append(path)
        else:
            found.append(DicomFile(path, offer))
    return tuple(found), tuple(others)


def send(files: Iterable[DicomFile], to: "PacsNode", requestor: "Requestor") -> Iterator[Answer]:
    """Send every file, over one association as long as its contexts suffice; yield each answer.

    Raises
    ------
    AssociationFailed
        If there is no association, or it breaks.
    """
    for batch in _batches(files):
        offers = list(dict.fromkeys(file.offer for file in batch))
        with associated(to, offers, requestor) as association:
            wanted = accepted(association)
            for number, file in enumerate(batch, start=1):
                if file.offer not in wanted:
                    words = "the listener takes no such SOP class in this transfer syntax"
                    yield Answer(file.path, is_taken=False, words=words)
                    continue
                if not association.is_established:
                    raise AssociationFailed("the association was ended by the other side")
                answer = association.send_c_store(file.path, msg_id=number % 2**16 or 1)
                yield _answer(file.path, int(answer.Status) if "Status" in answer else None)


def _answer(path: Path, status: int | None) -> Answer:
    if status is None:
        raise AssociationFailed("no answer to C-STORE")
    return Answer(path, is_stored(status), f"0x{status:04X}")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        elif path.exists():
            yield path
        else:
            raise FileNotFoundError(2, "no such file or folder", str(path))


def _offer(path: Path) -> "Offer | None":
    try:
        with quiet.reading():
            head = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
            return str(head.SOPClassUID), str(head.file_meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError, OSError, ValueError):
        return None


def _batches(files: Iterable[DicomFile]) -> Iterator[list[DicomFile]]:
    batch: list[DicomFile] = []
    offers: set[Offer] = set()
    for file in files:
        if len(offers | {file.offer}) > MAXIMUM_CONTEXTS:
            yield batch
            batch, offers = [], set()
        batch.append(file)
        offers.add(file.offer)
    if batch:
        yield batch
