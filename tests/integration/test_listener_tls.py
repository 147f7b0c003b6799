"""TLS at the listener: who shows what, old protocols, and nobody's silence stops the others."""

import os
import socket
import ssl
import subprocess
from pathlib import Path

import certificates
import pytest
from certificates import Authority
from dicom_sender import Office, bare_connection, is_closed_by_peer, listening, pdu
from film_builders import a_film
from pynetdicom import AE
from pynetdicom.association import Association

from dicom import tls
from dicom.notices import NoticeKind
from dicom.tls import ClientCertificates, ClientTls, TlsFiles
from scripts.installation import system_program

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not certificates.IS_INSTALLED, reason="openssl is not installed"),
]
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> TlsFiles:
    return authority.sign("carina")


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> TlsFiles:
    return authority.sign("modality")


def server(
    files: TlsFiles, clients: ClientCertificates = ClientCertificates.REQUIRED
) -> ssl.SSLContext:
    return tls.server_context(files, clients)


def associate(port: int, context: ssl.SSLContext | None) -> Association:
    ae = AE("MODALITY")
    ae.acse_timeout = ae.connection_timeout = 20
    ae.add_requested_context(VERIFICATION)
    return ae.associate(
        "127.0.0.1",
        port,
        ae_title="CARINA",
        tls_args=None if context is None else (context, "localhost"),
    )


def dcmtk(
    program: str, port: int, *options: str, files: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(system_program(program), "-v", "-aec", "CARINA", "-to", "20", "-ta", "20"),
            *(*options, "127.0.0.1", str(port), *files),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "TCP_NODELAY": "1"},
    )


def shown(files: TlsFiles) -> tuple[str, ...]:
    return ("+tls", str(files.key), str(files.certificate), "+cf", str(files.authorities))


def still_serves(port: int, files: TlsFiles) -> bool:
    assoc = associate(port, tls.client_context(ClientTls(files)))
    established = assoc.is_established
    if established:
        assoc.release()
    return established


@pytest.mark.parametrize("profile", ["+py", "+px"])
def test_dcmtk_stores_a_film_with_its_certificate(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles, profile: str
) -> None:
    office = Office()
    film = tmp_path / "film.dcm"
    a_film("through-tls").save_as(film, enforce_file_format=True)
    with listening(tmp_path, office, ssl_context=server(ours)) as listener:
        answer = dcmtk("storescu", listener.port, *shown(theirs), profile, files=(str(film),))
    assert answer.returncode == 0, answer.stderr
    assert len(office.received) == 1


def test_dcmtk_without_a_certificate_is_refused_where_one_is_required(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles
) -> None:
    office = Office()
    with listening(tmp_path, office, ssl_context=server(ours)) as listener:
        answer = dcmtk("echoscu", listener.port, "+tla", "+cf", str(ours.authorities))
        assert answer.returncode != 0
        told = office.wait_for(NoticeKind.ASSOCIATION_REJECTED)
        assert "peer did not return a certificate" in told.reason
        assert still_serves(listener.port, theirs)


@pytest.mark.parametrize("clients", [ClientCertificates.OPTIONAL, ClientCertificates.NONE])
def test_dcmtk_without_a_certificate_comes_in_where_none_is_required(
    tmp_path: Path, ours: TlsFiles, clients: ClientCertificates
) -> None:
    with listening(tmp_path, Office(), ssl_context=server(ours, clients)) as listener:
        answer = dcmtk("echoscu", listener.port, "+tla", "+cf", str(ours.authorities))
    assert answer.returncode == 0, answer.stderr


def test_dcmtk_without_tls_is_turned_away_from_a_listener_with_tls(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles
) -> None:
    office = Office()
    with listening(tmp_path, office, ssl_context=server(ours)) as listener:
        assert dcmtk("echoscu", listener.port).returncode != 0
        office.wait_for(NoticeKind.ASSOCIATION_REJECTED)
        assert still_serves(listener.port, theirs)


def test_the_certificate_of_a_stranger_is_refused(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles
) -> None:
    stranger = Authority(tmp_path / "other").sign("stranger")
    office = Office()
    with listening(tmp_path, office, ssl_context=server(ours)) as listener:
        assert dcmtk("echoscu", listener.port, *shown(stranger), "-ic").returncode != 0
        told = office.wait_for(NoticeKind.ASSOCIATION_REJECTED)
        assert told.reason.startswith("certificate not accepted")
        assert still_serves(listener.port, theirs)


def test_an_expired_certificate_is_refused_and_named_as_such(
    tmp_path: Path, authority: Authority, ours: TlsFiles
) -> None:
    office = Office()
    with listening(tmp_path, office, ssl_context=server(ours)) as listener:
        late = authority.sign("late", days=-1)
        assert dcmtk("echoscu", listener.port, *shown(late)).returncode != 0
        assert "expired" in office.wait_for(NoticeKind.ASSOCIATION_REJECTED).reason


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_that_are_still_allowed_are_spoken(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles, version: ssl.TLSVersion
) -> None:
    context = tls.client_context(ClientTls(theirs))
    context.minimum_version = context.maximum_version = version
    with listening(tmp_path, Office(), ssl_context=server(ours)) as listener:
        assoc = associate(listener.port, context)
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("newest", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    ],
    ids=["TLS 1.1", "no authenticated encryption", "no forward secrecy"],
)
def test_what_bcp_195_forbids_is_not_negotiated(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles, newest: ssl.TLSVersion, ciphers: str
) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers(ciphers)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, newest
    with listening(tmp_path, Office(), ssl_context=server(ours)) as listener:
        with bare_connection(listener.port) as connection:
            assert is_refused(connection, old)
        assert still_serves(listener.port, theirs)


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["mute", "half"])
def test_one_that_never_finishes_its_greeting_is_closed_and_keeps_nobody_waiting(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles, beginning: bytes
) -> None:
    with (
        listening(
            tmp_path, Office(), ssl_context=server(ours), acse_timeout_s=1.0, socket_timeout_s=1.0
        ) as listener,
        bare_connection(listener.port) as silent,
    ):
        silent.sendall(beginning)
        assert still_serves(listener.port, theirs)
        assert is_closed_by_peer(silent, 20)


def test_one_that_shakes_hands_and_says_no_more_is_closed(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles
) -> None:
    context = tls.client_context(ClientTls(theirs))
    with (
        listening(
            tmp_path, Office(), ssl_context=server(ours), acse_timeout_s=1.0, socket_timeout_s=1.0
        ) as listener,
        bare_connection(listener.port) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as silent,
    ):
        assert is_closed_by_peer(silent, 20)


def test_a_garbled_record_ends_only_its_own_connection(
    tmp_path: Path, ours: TlsFiles, theirs: TlsFiles
) -> None:
    with listening(tmp_path, Office(), ssl_context=server(ours)) as listener:
        with bare_connection(listener.port) as connection:
            connection.sendall(b"\x16\x03\x03\xff\xff" + os.urandom(4096))
            assert is_closed_by_peer(connection, 20)
        with bare_connection(listener.port) as plain:
            plain.sendall(pdu(0x01, bytes(200)))
            assert is_closed_by_peer(plain, 20)
        assert still_serves(listener.port, theirs)


def is_refused(connection: socket.socket, context: ssl.SSLContext) -> bool:
    """Shake hands and say something; return whether the peer ends it."""
    try:
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            secured.sendall(pdu(0x01, bytes(200)))
            return secured.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True
