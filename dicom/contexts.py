"""What the listener accepts, and the tables of the conformance statement.

A film to be read is a Computed Radiography or a Digital X-Ray image for presentation. Everything
else in these tables is accepted and recorded, not read: a router fails a whole study when one
context is refused (design rule 5).
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"

FILMS: "Mapping[str, str]" = {
    CR_IMAGE: "Computed Radiography Image Storage",
    DX_FOR_PRESENTATION: "Digital X-Ray Image Storage - For Presentation",
}
"""Read."""

OTHER_IMAGES: "Mapping[str, str]" = {
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray Image Storage - For Processing",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.1": "Multi-frame Single Bit Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.3": "Multi-frame Grayscale Word Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation Storage",
}
"""Recorded, not read; pixels, so every transfer syntax."""

DOCUMENTS: "Mapping[str, str]" = {
    "1.2.840.10008.5.1.4.1.1.11.1": "Grayscale Softcopy Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.88.11": "Basic Text SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.22": "Enhanced SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.33": "Comprehensive SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive 3D SR Storage",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key Object Selection Document Storage",
    "1.2.840.10008.5.1.4.1.1.88.67": "X-Ray Radiation Dose SR Storage",
    "1.2.840.10008.5.1.4.1.1.104.1": "Encapsulated PDF Storage",
}
"""Recorded, not read; no pixels, so nothing to compress but by deflate."""

UNCOMPRESSED: "Mapping[str, str]" = {
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian (retired)",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
}

COMPRESSED: "Mapping[str, str]" = {
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Processes 2 and 4)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless, Non-Hierarchical (Process 14)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Lossy (Near-Lossless)",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 (Lossless Only)",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 (Lossless Only)",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
}

_ALL = (*UNCOMPRESSED, *COMPRESSED)


class AcceptedContext(PresentationContext):
    """A supported context that is cheap to copy.

    pynetdicom copies all supported contexts for every connection, in the thread that accepts. The
    UIDs in them never change, so a copy shares them.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "AcceptedContext":
        twin = copy.copy(self)
        twin._transfer_syntax = list(self._transfer_syntax)  # noqa: SLF001 - another of its kind
        return twin


@dataclass(frozen=True, slots=True)
class AcceptedClass:
    """One row of the conformance table."""

    sop_class_uid: str
    name: str
    transfer_syntax_uids: tuple[str, ...]
    use: str


def accepted_classes(other_sop_classes: "Iterable[str]" = ()) -> tuple[AcceptedClass, ...]:
    """Return everything accepted; ``other_sop_classes`` are the site's own, recorded, not read."""
    known = (
        AcceptedClass(VERIFICATION, "Verification", tuple(UNCOMPRESSED)[:2], "answered"),
        *(AcceptedClass(uid, name, _ALL, "read") for uid, name in FILMS.items()),
        *(AcceptedClass(uid, name, _ALL, "recorded") for uid, name in OTHER_IMAGES.items()),
        *(
            AcceptedClass(uid, name, tuple(UNCOMPRESSED), "recorded")
            for uid, name in DOCUMENTS.items()
        ),
    )
    taken = {row.sop_class_uid for row in known}
    site = (uid for uid in dict.fromkeys(other_sop_classes) if uid not in taken)
    return (*known, *(AcceptedClass(uid, UID(uid).name, _ALL, "recorded") for uid in site))


def supported(other_sop_classes: "Iterable[str]" = ()) -> list[PresentationContext]:
    """Return the contexts for pynetdicom.

    Uncompressed comes first: pynetdicom takes the first of ours that the sender offers, and every
    sender can send what it offers uncompressed.
    """
    contexts: list[PresentationContext] = [_reports()]
    for row in accepted_classes(other_sop_classes):
        context = AcceptedContext()
        context.abstract_syntax = UID(row.sop_class_uid)
        context.transfer_syntax = [UID(uid) for uid in row.transfer_syntax_uids]
        contexts.append(context)
    return contexts


def _reports() -> PresentationContext:
    """Return the context of storage commitment reports: the archive that calls is the SCP.

    It says so by role selection (PS3.4 J.3.3); one that forgets to is heard all the same.
    """
    context = AcceptedContext()
    context.abstract_syntax = UID(STORAGE_COMMITMENT)
    context.transfer_syntax = [UID(uid) for uid in tuple(UNCOMPRESSED)[:2]]
    context.scu_role = context.scp_role = True
    return context


def conformance_tables() -> str:
    """Return the tables of ``docs/conformance.md``, in Markdown (PS3.2 annex N)."""
    lines = ["| SOP class | UID | Role | Transfer syntaxes | Use |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.sop_class_uid} | SCP | {_set_name(row)} | {row.use} |"
        for row in accepted_classes()
    ]
    lines.append(
        f"| Storage Commitment Push Model | {STORAGE_COMMITMENT} | SCU, by role selection |"
        " Explicit and Implicit VR Little Endian | reports heard |"
    )
    lines += ["", "| Transfer syntax | UID | Set |", "|---|---|---|"]
    lines += [f"| {name} | {uid} | uncompressed |" for uid, name in UNCOMPRESSED.items()]
    lines += [f"| {name} | {uid} | compressed |" for uid, name in COMPRESSED.items()]
    return "\n".join(lines) + "\n"


def _set_name(row: AcceptedClass) -> str:
    sets = {_ALL: "uncompressed, compressed", tuple(UNCOMPRESSED): "uncompressed"}
    return sets.get(row.transfer_syntax_uids, "Explicit and Implicit VR Little Endian")
