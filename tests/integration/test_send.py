"""Sending over real associations, to a well-behaved archive and to a misbehaving one."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from kept_results import SOP_CLASSES, a_result_set, data_set_bytes
from unreliable_archive import Manners

from dicom import query, send
from dicom.associate import Requestor, Timeouts
from dicom.errors import AssociationFailed, KeptResultDamaged, QueryNotOffered
from dicom.values import PacsNode, ResultKind

pytestmark = pytest.mark.integration

CARINA = Requestor("CARINA", Timeouts(connect_s=2, acse_s=2, dimse_s=5, network_s=5))
HASTY = Requestor("CARINA", Timeouts(connect_s=1, acse_s=1, dimse_s=0.5, network_s=0.5))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as pacs:
        yield pacs


def uids_of(results: object) -> list[str]:
    return [one.ref.sop_instance_uid for one in results]  # type: ignore[attr-defined]


def test_orthanc_holds_our_bytes_unaltered(archive: orthanc.Orthanc, tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    outcomes = send.store(results, archive.node, CARINA)
    assert [one.status for one in outcomes] == [0x0000] * 5
    for result in results:
        held = archive.file(result.ref.sop_instance_uid)
        assert data_set_bytes(held) == data_set_bytes(result.path.read_bytes())


def test_sending_again_changes_nothing(archive: orthanc.Orthanc, tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    send.store(results, archive.node, CARINA)
    again = send.store(results, archive.node, CARINA)
    assert [one.status for one in again] == [0x0000] * 5
    held = archive.sop_instance_uids(results[0].ref.study_instance_uid)
    assert held == set(uids_of(results))


def test_a_result_set_is_sent_in_less_than_a_second(
    archive: orthanc.Orthanc, tmp_path: Path
) -> None:
    results = a_result_set(tmp_path, size_bytes=400_000)
    start = time.perf_counter()
    send.store(results, archive.node, CARINA)
    assert time.perf_counter() - start < 1.0


def test_orthanc_says_what_it_has(archive: orthanc.Orthanc, tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    send.store(results[:3], archive.node, CARINA)
    found = query.present([one.ref for one in results], archive.node, CARINA)
    assert found == set(uids_of(results[:3]))


def test_echo_succeeds_where_an_archive_is(archive: orthanc.Orthanc) -> None:
    send.echo(archive.node, CARINA)


def test_echo_fails_where_nobody_listens() -> None:
    with pytest.raises(AssociationFailed):
        send.echo(PacsNode("GONE", "127.0.0.1", orthanc.free_port()), CARINA)


def test_a_host_name_that_does_not_resolve_is_a_failed_association() -> None:
    with pytest.raises(AssociationFailed):
        send.echo(PacsNode("GONE", "no-such-host.invalid", 104), CARINA)


def test_masks_and_pictures_go_first_and_the_text_last(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    with unreliable_archive.running() as archive:
        send.store(results[::-1], archive.node, CARINA)
    assert archive.arrived == uids_of(results)
    assert archive.associations == 1


def test_only_the_contexts_that_are_needed_are_proposed(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.FINDING_SEG, ResultKind.TEXT_SR)
    with unreliable_archive.running() as archive:
        send.store(results, archive.node, CARINA)
    expected = {(SOP_CLASSES[one.kind], unreliable_archive.EXPLICIT) for one in results}
    assert archive.proposed == [expected]


def test_the_received_bytes_are_the_kept_ones(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, size_bytes=300_000)
    with unreliable_archive.running() as archive:
        send.store(results, archive.node, CARINA)
    for result in results:
        kept = data_set_bytes(result.path.read_bytes())
        assert archive.kept[result.ref.sop_instance_uid] == kept


@pytest.mark.parametrize("status", [0x0110, 0x0124, 0xA700, 0xA900, 0xC000, 0xC123])
def test_a_refused_mask_ends_the_sending_before_the_reports(tmp_path: Path, status: int) -> None:
    results = a_result_set(tmp_path, ResultKind.FINDING_SEG, ResultKind.TEXT_SR)
    manners = Manners({SOP_CLASSES[ResultKind.FINDING_SEG]: status}, comment="no room")
    with unreliable_archive.running(manners) as archive:
        (outcome,) = send.store(results, archive.node, CARINA)
    assert (outcome.status, outcome.error_comment, outcome.taken) == (status, "no room", True)
    assert archive.arrived == uids_of(results)[:1]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_counts_as_stored(tmp_path: Path, status: int) -> None:
    results = a_result_set(tmp_path, ResultKind.FINDING_SEG, ResultKind.TEXT_SR)
    manners = Manners({SOP_CLASSES[ResultKind.FINDING_SEG]: status})
    with unreliable_archive.running(manners) as archive:
        outcomes = send.store(results, archive.node, CARINA)
    assert [one.status for one in outcomes] == [status, 0x0000]
    assert set(archive.kept) == set(uids_of(results))


def test_an_archive_without_seg_still_gets_the_rest(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    with unreliable_archive.running(without=(ResultKind.FINDING_SEG,)) as archive:
        outcomes = send.store(results, archive.node, CARINA)
    assert [one.taken for one in outcomes] == [False, False, True, True, True]
    assert archive.arrived == uids_of(results)[2:]


def test_an_archive_that_takes_none_of_it_is_not_taken_for_a_broken_line(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.FINDING_SEG)
    with unreliable_archive.running(without=tuple(ResultKind)) as archive:
        (outcome,) = send.store(results, archive.node, CARINA)
    assert (outcome.taken, outcome.status) == (False, None)


def test_a_cut_line_tells_what_had_arrived(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    with (
        unreliable_archive.running(Manners(cut_after=2)) as archive,
        pytest.raises(AssociationFailed) as failure,
    ):
        send.store(results, archive.node, CARINA)
    assert [one.status for one in failure.value.outcomes] == [0, 0, None]
    assert [one.sop_instance_uid for one in failure.value.outcomes] == uids_of(results)[:3]


def test_a_refused_association_is_a_failure_without_outcomes(tmp_path: Path) -> None:
    with (
        unreliable_archive.running(called_ae_title="SOMEBODY") as archive,
        pytest.raises(AssociationFailed) as failure,
    ):
        send.store(a_result_set(tmp_path), archive.node, CARINA)
    assert failure.value.outcomes == ()
    assert archive.arrived == []


def test_an_archive_that_does_not_answer_in_time_is_left(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.TEXT_SR)
    manners = Manners(gate=threading.Event())
    start = time.monotonic()
    with (
        unreliable_archive.running(manners) as archive,
        pytest.raises(AssociationFailed) as failure,
    ):
        send.store(results, archive.node, HASTY)
    assert [one.status for one in failure.value.outcomes] == [None]
    assert time.monotonic() - start < 10


@contextlib.contextmanager
def a_silent_port() -> Iterator[PacsNode]:
    """Accept connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield PacsNode("SILENT", "127.0.0.1", server.getsockname()[1])


def test_a_port_that_never_speaks_is_left(tmp_path: Path) -> None:
    start = time.monotonic()
    with a_silent_port() as node, pytest.raises(AssociationFailed):
        send.store(a_result_set(tmp_path), node, HASTY)
    assert time.monotonic() - start < 10


def test_a_changed_file_is_never_sent(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    content = results[-1].path.read_bytes()
    results[-1].path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with unreliable_archive.running() as archive, pytest.raises(KeptResultDamaged):
        send.store(results, archive.node, CARINA)
    assert archive.associations == 0


def test_a_lost_file_is_named_without_its_path(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.TEXT_SR)
    results[0].path.unlink()
    with unreliable_archive.running() as archive, pytest.raises(KeptResultDamaged) as failure:
        send.store(results, archive.node, CARINA)
    assert str(failure.value) == "text 1: FileNotFoundError"


def test_accepted_offers_are_known_without_sending(tmp_path: Path) -> None:
    offers = {(uid, unreliable_archive.EXPLICIT) for uid in SOP_CLASSES.values()}
    with unreliable_archive.running(without=(ResultKind.BOX_SR,)) as archive:
        taken = send.accepted_offers(archive.node, offers, CARINA)
    assert offers - taken == {(SOP_CLASSES[ResultKind.BOX_SR], unreliable_archive.EXPLICIT)}
    assert archive.arrived == []


def test_an_archive_that_lies_is_found_out(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    with unreliable_archive.running(Manners(lies=True)) as archive:
        outcomes = send.store(results, archive.node, CARINA)
        found = query.present([one.ref for one in results], archive.node, CARINA)
    assert all(one.status == 0x0000 for one in outcomes)
    assert found == frozenset()


def test_an_archive_without_query_cannot_prove_anything(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.TEXT_SR)
    with (
        unreliable_archive.running(offers_find=False) as archive,
        pytest.raises(QueryNotOffered),
    ):
        query.present([one.ref for one in results], archive.node, CARINA)


def test_a_failing_query_proves_nothing(tmp_path: Path) -> None:
    results = a_result_set(tmp_path, ResultKind.TEXT_SR)
    with (
        unreliable_archive.running(Manners(find_status=0xA700)) as archive,
        pytest.raises(QueryNotOffered),
    ):
        query.present([one.ref for one in results], archive.node, CARINA)


def test_a_query_to_a_dead_archive_is_a_failed_association(tmp_path: Path) -> None:
    (result,) = a_result_set(tmp_path, ResultKind.TEXT_SR)
    nobody = PacsNode("GONE", "127.0.0.1", orthanc.free_port())
    with pytest.raises(AssociationFailed):
        query.present([result.ref], nobody, CARINA)
