"""A real storage SCP for tests that misbehaves as told: refuses, cuts, dawdles, lies."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kept_results import SOP_CLASSES
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel as PushModel
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as PushModelInstance
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)
from pynetdicom.sop_class import Verification

from dicom.values import PacsNode, ResultKind

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"


@dataclass
class Manners:
    """How the archive behaves; may be changed while it runs.

    ``statuses`` are answered by SOP class, success otherwise. ``cut_after`` objects it aborts.
    ``lies`` answers success and keeps nothing. ``find_status`` is the final status of a query.
    ``gate`` is waited for before each answer.

    ``vouches`` is how it reports storage commitment: on the "same" association, by one of its own
    "back" to ``report_to``, "never", or "refuses" the request. Of ``forgets``, SOP classes, it
    reports that it does not keep them.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    comment: str = ""
    cut_after: int | None = None
    lies: bool = False
    find_status: int = 0x0000
    gate: threading.Event | None = None
    vouches: str = ""
    report_to: PacsNode | None = None
    forgets: frozenset[str] = frozenset()


@dataclass
class UnreliableArchive:
    """What it received: data set bytes by SOP Instance UID, arrivals in order."""

    manners: Manners
    node: PacsNode = field(default=PacsNode("ARCHIVE", "127.0.0.1", 0))
    arrived: list[str] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    series: dict[str, tuple[str, str]] = field(default_factory=dict)
    associations: int = 0
    proposed: list[set[tuple[str, str]]] = field(default_factory=list)
    transactions: list[str] = field(default_factory=list)
    reporters: list[threading.Thread] = field(default_factory=list)

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        asked = event.action_information
        self.transactions.append(str(asked.TransactionUID))
        if self.manners.vouches == "refuses":
            return 0x0110, None
        if self.manners.vouches != "never":
            how = self.report_same if self.manners.vouches == "same" else self.report_back
            reporter = threading.Thread(target=how, args=(self.report(asked), event.assoc))
            self.reporters.append(reporter)
            reporter.start()
        return 0x0000, None

    def report(self, asked: Dataset) -> Dataset:
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        report.ReferencedSOPSequence, report.FailedSOPSequence = [], []
        for ref in asked.ReferencedSOPSequence:
            item = Dataset()
            item.ReferencedSOPClassUID = ref.ReferencedSOPClassUID
            item.ReferencedSOPInstanceUID = ref.ReferencedSOPInstanceUID
            is_kept = str(ref.ReferencedSOPInstanceUID) in self.kept
            if is_kept and str(ref.ReferencedSOPClassUID) not in self.manners.forgets:
                report.ReferencedSOPSequence.append(item)
            else:
                item.FailureReason = 0x0112  # no such object instance
                report.FailedSOPSequence.append(item)
        return report

    def report_same(self, report: Dataset, assoc: Association) -> None:
        assoc.send_n_event_report(
            report, 2 if report.FailedSOPSequence else 1, PushModel, PushModelInstance
        )

    def report_back(self, report: Dataset, _: Association | None = None) -> int:
        """Report on an association of our own, as its SCP; return the status of the answer."""
        assert self.manners.report_to is not None
        to = self.manners.report_to
        ae = AE(ae_title="ARCHIVE")
        ae.add_requested_context(PushModel, [IMPLICIT])
        role = build_role(PushModel, scp_role=True)
        assoc = ae.associate(to.host, to.port, ae_title=to.ae_title, ext_neg=[role])
        assert assoc.is_established
        kind = 2 if report.FailedSOPSequence else 1
        status, _info = assoc.send_n_event_report(report, kind, PushModel, PushModelInstance)
        assoc.release()
        return int(status.Status)

    def on_requested(self, event: evt.Event) -> None:
        self.associations += 1
        contexts = event.assoc.requestor.primitive.presentation_context_definition_list
        self.proposed.append(
            {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in contexts}
        )

    def on_store(self, event: evt.Event) -> int | Dataset:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.arrived.append(uid)
        if self.manners.gate is not None:
            self.manners.gate.wait(30)
        if self.manners.cut_after is not None and len(self.arrived) > self.manners.cut_after:
            event.assoc.abort()
            return 0x0000
        status = self.manners.statuses.get(str(event.request.AffectedSOPClassUID), 0x0000)
        if status in {0x0000, 0xB000, 0xB006, 0xB007} and not self.manners.lies:
            self.kept[uid] = _raw(event)
            ds = event.dataset
            self.series[uid] = (str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID))
        answer = Dataset()
        answer.Status = status
        if self.manners.comment:
            answer.ErrorComment = self.manners.comment
        return answer

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        wanted = (str(asked.StudyInstanceUID), str(asked.SeriesInstanceUID))
        for uid in [uid for uid, series in self.series.items() if series == wanted]:
            answer = Dataset()
            answer.QueryRetrieveLevel = "IMAGE"
            answer.SOPInstanceUID = uid
            yield 0xFF00, answer
        if self.manners.find_status:
            yield self.manners.find_status, None


@contextlib.contextmanager
def running(
    manners: Manners | None = None,
    *,
    without: tuple[ResultKind, ...] = (),
    offers_find: bool = True,
    called_ae_title: str = "",
    also: tuple[str, ...] = (),
    host: str = "127.0.0.1",
) -> Iterator[UnreliableArchive]:
    """Run one on a free port; ``without`` are kinds whose SOP class it does not accept.

    ``also`` are further SOP classes that it accepts."""
    archive = UnreliableArchive(manners or Manners())
    ae = AE(ae_title="ARCHIVE")
    refused = {SOP_CLASSES[kind] for kind in without}
    for sop_class in sorted(set(SOP_CLASSES.values()) - refused | set(also)):
        ae.add_supported_context(sop_class, [EXPLICIT, JPEG_2000_LOSSLESS])
    ae.add_supported_context(Verification, [IMPLICIT])
    if offers_find:
        ae.add_supported_context(StudyRootFind, [IMPLICIT])
    if archive.manners.vouches:
        ae.add_supported_context(PushModel, [EXPLICIT, IMPLICIT])
    if called_ae_title:
        ae.require_called_aet = True
        ae.ae_title = called_ae_title
    handlers: list[Any] = [
        (evt.EVT_REQUESTED, archive.on_requested),
        (evt.EVT_C_STORE, archive.on_store),
        (evt.EVT_C_FIND, archive.on_find),
        (evt.EVT_N_ACTION, archive.on_action),
    ]
    server = ae.start_server((host, 0), block=False, evt_handlers=handlers)
    archive.node = PacsNode("ARCHIVE", host, server.socket.getsockname()[1])
    try:
        yield archive
    finally:
        if archive.manners.gate is not None:
            archive.manners.gate.set()
        for reporter in archive.reporters:
            reporter.join(30)
        server.shutdown()


def _raw(event: evt.Event) -> bytes:
    """Return the data set as it came over the line, in either receive mode of pynetdicom."""
    if _config.STORE_RECV_CHUNKED_DATASET:
        part10 = Path(event.dataset_path).read_bytes()
        return part10[144 + int.from_bytes(part10[140:144], "little") :]
    return bytes(event.request.DataSet.getvalue())
