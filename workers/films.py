"""From the instances of a study to the films that are read, and a reason for every other."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import dcmread

from dicom import choose, failpoints, header, pixels, quiet, spool
from dicom.errors import SpooledFileDamaged, UndecodableInstance, UnsupportedPixelData
from dicom.failpoints import Failpoint
from dicom.values import Rejected
from workers import failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from dicom.choose import ReadingPolicy
    from dicom.values import Chosen, FilmHeader
    from models.values import ChestImage
    from service.sources import SourceInstance


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One film to read: what was chosen, its picture, and its header for the results."""

    chosen: "Chosen"
    image: "ChestImage"
    source: "Dataset" = field(repr=False)
    transfer_syntax_uid: str
    remarks: tuple[str, ...]
    """What the draft says about this film: of its choice, and of its grey levels."""

    @property
    def sop_instance_uid(self) -> str:
        """Which film."""
        return self.chosen.header.ref.sop_instance_uid


@dataclass(frozen=True, slots=True)
class Picked:
    """The films of a study that can be read, and every other instance with its reason."""

    films: tuple[Film, ...]
    rejected: tuple[Rejected, ...]


def pick(instances: "Sequence[SourceInstance]", policy: "ReadingPolicy") -> Picked:
    """Choose the films of a study by their headers and decode them.

    An instance that cannot be decoded is rejected with its reason; it never costs another film
    its reading. A file that cannot be opened at all is an ``OSError``: that may pass.

    Raises
    ------
    SpooledFileDamaged
        If a file is not what was received: nothing is read from a study whose films may be wrong.
    """
    failpoints.reach(Failpoint.CLAIMED)
    headers: list[FilmHeader] = []
    rejected: list[Rejected] = []
    for instance in instances:
        _check(instance)
        try:
            headers.append(header.read(instance.path).film)
        except UndecodableInstance as error:
            rejected.append(_rejected(instance.ref.sop_instance_uid, error))
    choice = choose.choose(headers, policy)
    rejected.extend(choice.rejected)
    by_uid = {instance.ref.sop_instance_uid: instance for instance in instances}
    films: list[Film] = []
    for chosen in choice.films:
        uid = chosen.header.ref.sop_instance_uid
        try:
            films.append(_decode(by_uid[uid], chosen))
        except (UndecodableInstance, UnsupportedPixelData) as error:
            rejected.append(_rejected(uid, error))
    failpoints.reach(Failpoint.PIXELS_READ)
    return Picked(tuple(films), tuple(rejected))


def _check(instance: "SourceInstance") -> None:
    try:
        found = spool.digest(instance.path)
    except UndecodableInstance:
        found = ""
    if found != instance.sha256:
        raise SpooledFileDamaged(f"instance {instance.ref.sop_instance_uid}")


def _decode(instance: "SourceInstance", chosen: "Chosen") -> Film:
    read = pixels.read_with_remarks(instance.path)
    with quiet.reading():
        source = dcmread(instance.path, stop_before_pixels=True)
    remarks = (*chosen.remarks, *read.remarks)
    return Film(chosen, read.image, source, instance.transfer_syntax_uid, remarks)


def _rejected(sop_instance_uid: str, error: Exception) -> Rejected:
    words = failures.treatment(error).words
    return Rejected(sop_instance_uid, type(error).__name__, f"{words}: {error}")
