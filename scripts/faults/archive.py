"""An archive that refuses everything with one status, or says success and keeps nothing."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StudyRootQueryRetrieveInformationModelFind,
)

TRANSFER_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90"]
IMPLICIT = "1.2.840.10008.1.2"
STORED = (
    *(EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage),
    *(SegmentationStorage, SecondaryCaptureImageStorage),
)


@dataclass
class WrongArchive:
    """Where it listens, and what it answered."""

    status: int
    port: int = 0
    answered: list[str] = field(default_factory=list)

    def on_store(self, event: "evt.Event") -> int:
        """Answer one object."""
        self.answered.append(str(getattr(event.request, "AffectedSOPInstanceUID", "")))
        return self.status


@contextlib.contextmanager
def running(status: int) -> Iterator[WrongArchive]:
    """Run one on a free port of the loopback."""
    archive = WrongArchive(status)
    ae = AE("ORTHANC")
    for sop_class in STORED:
        ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind, [IMPLICIT])
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, archive.on_store)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    assert server.socket is not None
    archive.port = int(server.socket.getsockname()[1])
    try:
        yield archive
    finally:
        server.shutdown()
