"""How results travel to one archive, whichever protocol it speaks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dicom import query, send
from dicom.values import WebNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dicom.associate import Requestor, Timeouts
    from dicom.values import InstanceRef, KeptResult, PacsNode, StoreOutcome


class Line(Protocol):
    """A way to one archive."""

    def store(
        self, results: "Sequence[KeptResult]", announce: "Callable[[], None]"
    ) -> "tuple[StoreOutcome, ...]":
        """Send results in order; see :func:`dicom.send.store`."""

    def present(self, refs: "Iterable[InstanceRef]") -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive shows; see :func:`dicom.query.present`."""


@dataclass(frozen=True, slots=True)
class DimseLine:
    """C-STORE and C-FIND."""

    node: "PacsNode"
    requestor: "Requestor"

    def store(
        self, results: "Sequence[KeptResult]", announce: "Callable[[], None]"
    ) -> "tuple[StoreOutcome, ...]":
        """Send over one association."""
        return send.store(results, self.node, self.requestor, announce)

    def present(self, refs: "Iterable[InstanceRef]") -> frozenset[str]:
        """Ask over one association."""
        return query.present(refs, self.node, self.requestor)


@dataclass(frozen=True, slots=True)
class WebLine:
    """STOW-RS and QIDO-RS."""

    node: WebNode
    timeouts: "Timeouts"

    def store(
        self, results: "Sequence[KeptResult]", announce: "Callable[[], None]"
    ) -> "tuple[StoreOutcome, ...]":
        """Send by one request for each object."""
        from dicom import stow  # noqa: PLC0415  (requests is loaded where DICOMweb is used)

        return stow.store(results, self.node, announce, self.timeouts)

    def present(self, refs: "Iterable[InstanceRef]") -> frozenset[str]:
        """Ask by one request for each series."""
        from dicom import stow  # noqa: PLC0415

        return stow.present(refs, self.node, self.timeouts)


def to(node: "PacsNode | WebNode", requestor: "Requestor") -> Line:
    """Return the line to an archive."""
    if isinstance(node, WebNode):
        return WebLine(node, requestor.timeouts)
    return DimseLine(node, requestor)
