"""A cable cut in the middle of an association: no FIN, no RST, only silence."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import namespaces
import pytest
import unreliable_archive
from dicom_sender import Office, eventually, listening, send_first_half
from film_builders import a_film
from kept_results import data_set_bytes
from namespaces import Cable
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from sqlalchemy import select
from unreliable_archive import Manners
from ward import Ward

from dicom.associate import Timeouts
from dicom.gate import Limits
from dicom.notices import NoticeKind
from dicom.values import Caller, ReceivedInstance, ResultKind
from service import intake, reading
from service.db.engine import Database
from service.db.tables import InstanceRow
from service.values import JobState
from workers.deliver_step import deliver

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not namespaces.is_possible(),
        reason="NOT TESTED HERE: a cut cable needs `ip` and the right to make network namespaces",
    ),
]
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
SILENCE_S = 8.0
PATIENCE_S = 120.0
HURRIED = Timeouts(connect_s=SILENCE_S, acse_s=20, dimse_s=20, network_s=20)


@pytest.fixture
def cable() -> Iterator[Cable]:
    with namespaces.cable() as laid:
        yield laid


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


def associate(cable: Cable, port: int, answer_s: float = PATIENCE_S) -> Association:
    """Associate with our listener from the other host."""
    ae = AE("MODALITY")
    ae.acse_timeout = ae.network_timeout = PATIENCE_S
    ae.dimse_timeout = answer_s
    ae.add_requested_context(CR_IMAGE, [EXPLICIT])
    with cable.inside():
        return ae.associate(cable.ours, port, ae_title="CARINA")


def store(cable: Cable, port: int, ds: Dataset, answer_s: float = PATIENCE_S) -> int | None:
    """Send a film from the other host; return the status, None when no answer came."""
    assoc = associate(cable, port, answer_s)
    if not assoc.is_established:
        return None
    with suppress(RuntimeError):  # the association is gone
        answer = assoc.send_c_store(ds)
        if assoc.is_established:
            assoc.release()
        return answer.get("Status")
    return None


def is_served(cable: Cable, port: int, ds: Dataset) -> bool:
    """Send a film as often as a sender does; on a busy machine one try may be too slow."""
    return eventually(lambda: store(cable, port, ds) == 0x0000, PATIENCE_S)


def settings(cable: Cable, **changes: object) -> dict[str, object]:
    return {
        "host": cable.ours,
        "callers": (Caller("*", cable.theirs),),
        "socket_timeout_s": SILENCE_S,
        "network_timeout_s": SILENCE_S,
        **changes,
    }


def test_a_transfer_whose_cable_is_cut_leaves_nothing_and_gives_its_place_back(
    tmp_path: Path, cable: Cable
) -> None:
    office, incoming = Office(), tmp_path / "spool" / "incoming"
    limits = Limits(maximum_associations=1)
    with listening(tmp_path, office, **settings(cable, limits=limits)) as listener:
        assoc = associate(cable, listener.port)
        assert assoc.is_established
        send_first_half(assoc)
        assert eventually(lambda: len(list(incoming.iterdir())) == 1, PATIENCE_S)
        cable.cut()
        begun = time.monotonic()
        assert eventually(lambda: list(incoming.iterdir()) == [], PATIENCE_S)
        assert time.monotonic() - begun > SILENCE_S / 2, "it waited for the silence to last"
        cable.heal()
        assert is_served(cable, listener.port, a_film("after"))
        assoc.abort()
    assert {one.ref.sop_instance_uid for one in office.received} == {a_film("after").SOPInstanceUID}


def test_an_idle_association_whose_cable_is_cut_gives_its_place_back(
    tmp_path: Path, cable: Cable
) -> None:
    office, limits = Office(), Limits(maximum_associations=1)
    with listening(tmp_path, office, **settings(cable, limits=limits)) as listener:
        idle = associate(cable, listener.port)
        assert idle.is_established
        cable.cut()
        office.wait_for(NoticeKind.ASSOCIATION_ABORTED, PATIENCE_S)
        cable.heal()
        assert is_served(cable, listener.port, a_film("after"))
        idle.abort()


@dataclasses.dataclass
class CuttingDesk(Office):
    """Records as the service does; cuts the cable after the first commit, before the answer."""

    ward: Ward | None = None
    cable: Cable | None = None
    cuts: int = 1

    def accept(self, instance: ReceivedInstance) -> None:
        assert self.ward is not None
        assert self.cable is not None
        rules = reading.intake_rules(self.ward.context().settings)
        intake.accept(self.ward.database, instance, rules, self.ward.clock.now)
        super().accept(instance)
        if self.cuts:
            self.cuts -= 1
            self.cable.cut()


def test_a_film_whose_answer_was_lost_is_sent_again_and_kept_once(ward: Ward, cable: Cable) -> None:
    desk, film = CuttingDesk(ward=ward, cable=cable), a_film("answer-lost")
    with listening(ward.home, desk, **settings(cable)) as listener:
        assert store(cable, listener.port, film, answer_s=SILENCE_S) is None
        cable.heal()
        assert is_served(cable, listener.port, film)
    assert len(desk.received) > 1, "it was sent again"
    with ward.database.begin() as session:
        (row,) = session.scalars(select(InstanceRow)).all()
    assert (row.sop_instance_uid, row.current) == (film.SOPInstanceUID, True)
    assert len(list((ward.home / "spool" / "objects").rglob("*.dcm"))) == 1


class Knife(threading.Event):
    """Stands where the archive waits before it answers: cuts the cable instead."""

    def __init__(self, cable: Cable) -> None:
        super().__init__()
        self._cable = cable

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as in threading
        self._cable.cut()
        return True


# The test's own archive keeps a socket whose peer vanished: pynetdicom does not close it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_delivery_whose_cable_is_cut_ends_in_time_and_is_finished_later(
    ward: Ward, cable: Cable
) -> None:
    job, kept = ward.an_encoded_job(ResultKind.FINDING_SEG, ResultKind.TEXT_SR)
    with ExitStack() as stack:
        with cable.inside():
            running = unreliable_archive.running(Manners(gate=Knife(cable)), host=cable.theirs)
            archive = stack.enter_context(running)
        far = ward.context(archive.node, delivery="live", demo_override=str(archive.node))
        context = dataclasses.replace(far, timeouts=HURRIED)
        begun = time.monotonic()
        deliver(context)
        assert time.monotonic() - begun < PATIENCE_S
        assert ward.state(job) is JobState.SENDING
        assert {row.status for row in ward.answers(job).values()} == {None}
        cable.heal()
        archive.manners.gate = None
        ward.clock.turn(ward.delay_s(job))
        deliver(context)
        assert ward.state(job) is JobState.DELIVERED
    assert set(archive.kept) == {one.ref.sop_instance_uid for one in kept}
    for result in kept:
        sent = archive.kept[result.ref.sop_instance_uid]
        assert sent == data_set_bytes(result.path.read_bytes())
