"""TLS towards the archive: stored, asked and proven through it, and every way it can fail."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import certificates
import orthanc
import pytest
from certificates import ELSEWHERE, Authority
from dicom_sender import Office, listening
from kept_results import a_result_set

from dicom import query, send, tls
from dicom.associate import Requestor, Timeouts
from dicom.errors import AssociationFailed, CertificateUnusable
from dicom.tls import ClientCertificates, ClientTls, TlsFiles
from dicom.values import PacsNode

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not certificates.IS_INSTALLED, reason="openssl is not installed"),
]
PATIENT = Timeouts(connect_s=20, acse_s=20, dimse_s=20, network_s=20)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> TlsFiles:
    return authority.sign("carina")


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[orthanc.Orthanc]:
    theirs = authority.sign("archive")
    options = orthanc.OrthancOptions(
        extra={
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(theirs.certificate),
            "DicomTlsPrivateKey": str(theirs.key),
            "DicomTlsTrustedCertificates": str(theirs.authorities),
            "DicomTlsRemoteCertificateRequired": True,
        }
    )
    with orthanc.running(tmp_path_factory.mktemp("orthanc-tls"), options) as pacs:
        yield pacs


def through_tls(node: PacsNode) -> PacsNode:
    return replace(node, tls=True)


def showing(files: TlsFiles, *, check_host: bool = True) -> Requestor:
    return Requestor("CARINA", PATIENT, ClientTls(files, check_host))


def fault_of(node: PacsNode, requestor: Requestor) -> str:
    with pytest.raises(AssociationFailed) as caught:
        send.echo(node, requestor)
    return str(caught.value)


def test_orthanc_takes_and_shows_our_objects_through_tls(
    archive: orthanc.Orthanc, ours: TlsFiles, tmp_path: Path
) -> None:
    node, requestor = through_tls(archive.node), showing(ours)
    send.echo(node, requestor)
    results = a_result_set(tmp_path)
    outcomes = send.store(results, node, requestor)
    assert [one.status for one in outcomes] == [0x0000] * 5
    found = query.present([one.ref for one in results], node, requestor)
    assert found == {one.ref.sop_instance_uid for one in results}


def test_an_archive_that_wants_our_certificate_does_not_take_us_without(
    archive: orthanc.Orthanc, ours: TlsFiles
) -> None:
    nothing_shown = TlsFiles(authorities=ours.authorities)
    assert "TLS failed" in fault_of(through_tls(archive.node), showing(nothing_shown))


def test_an_archive_does_not_take_a_certificate_of_a_stranger(
    archive: orthanc.Orthanc, ours: TlsFiles, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other").sign("stranger")
    mixed = replace(stranger, authorities=ours.authorities)
    assert "TLS failed" in fault_of(through_tls(archive.node), showing(mixed))


def test_speaking_plainly_to_an_archive_with_tls_fails_in_time(archive: orthanc.Orthanc) -> None:
    start = time.monotonic()
    hasty = Timeouts(connect_s=2, acse_s=2, dimse_s=2, network_s=2)
    assert "no connection, or aborted" in fault_of(archive.node, Requestor("CARINA", hasty))
    assert time.monotonic() - start < 30


def test_an_archive_of_another_authority_is_not_trusted(
    archive: orthanc.Orthanc, tmp_path: Path
) -> None:
    elsewhere = Authority(tmp_path / "elsewhere").sign("carina")
    fault = fault_of(through_tls(archive.node), showing(elsewhere))
    assert "certificate not accepted" in fault


def test_the_authorities_of_the_system_do_not_know_a_hospitals_own(
    archive: orthanc.Orthanc,
) -> None:
    fault = fault_of(through_tls(archive.node), Requestor("CARINA", PATIENT))
    assert "certificate not accepted" in fault


def test_an_archive_whose_certificate_has_expired_is_not_trusted(
    authority: Authority, ours: TlsFiles, tmp_path: Path
) -> None:
    context = tls.server_context(authority.sign("old", days=-1), ClientCertificates.NONE)
    with listening(tmp_path, Office(), ssl_context=context) as listener:
        node = PacsNode("CARINA", "127.0.0.1", listener.port, tls=True)
        assert "certificate has expired" in fault_of(node, showing(ours))


def test_an_archive_must_be_the_host_its_certificate_names_unless_the_site_says_otherwise(
    authority: Authority, ours: TlsFiles, tmp_path: Path
) -> None:
    named = authority.sign("elsewhere", extensions=ELSEWHERE)
    context = tls.server_context(named, ClientCertificates.REQUIRED)
    with listening(tmp_path, Office(), ssl_context=context) as listener:
        node = PacsNode("CARINA", "127.0.0.1", listener.port, tls=True)
        assert "IP address mismatch" in fault_of(node, showing(ours))
        send.echo(node, showing(ours, check_host=False))


def test_tls_with_an_archive_that_does_not_speak_it_fails(ours: TlsFiles, tmp_path: Path) -> None:
    with listening(tmp_path, Office()) as listener:
        node = PacsNode("CARINA", "127.0.0.1", listener.port, tls=True)
        assert "CARINA@127.0.0.1" in fault_of(node, showing(ours))


def test_an_archive_that_never_answers_the_greeting_is_given_up(ours: TlsFiles) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        node = PacsNode("SILENT", "127.0.0.1", server.getsockname()[1], tls=True)
        hasty = Requestor("CARINA", Timeouts(connect_s=1, acse_s=1), ClientTls(ours))
        start = time.monotonic()
        fault_of(node, hasty)
        assert time.monotonic() - start < 30


def test_files_that_cannot_be_used_are_named(ours: TlsFiles, tmp_path: Path) -> None:
    node = PacsNode("CARINA", "127.0.0.1", 104, tls=True)
    missing, damaged = tmp_path / "missing.pem", tmp_path / "damaged.pem"
    damaged.write_text("no certificate", encoding="ascii")
    for files, name in (
        (replace(ours, certificate=missing), "missing.pem"),
        (replace(ours, authorities=damaged), "damaged.pem"),
        (replace(ours, key=damaged), "damaged.pem"),
        (replace(ours, key=None), "certificate and its key"),
    ):
        with pytest.raises(CertificateUnusable, match=name):
            send.echo(node, showing(files))


def test_a_key_locked_with_a_password_is_a_fault_and_no_question(
    authority: Authority, ours: TlsFiles, tmp_path: Path
) -> None:
    locked = certificates.lock(authority.sign("locked"), tmp_path / "locked.key")
    with pytest.raises(CertificateUnusable, match=r"locked\.key"):
        tls.server_context(replace(ours, key=locked), ClientCertificates.NONE)
