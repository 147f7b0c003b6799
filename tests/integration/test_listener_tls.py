"""TLS at the listener: both sides show a certificate, and nobody's silence stops the others."""

import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from dicom_sender import Office, bare_connection, is_closed_by_peer, listening, pdu
from pynetdicom import AE
from pynetdicom.association import Association

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]
VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, *, anonymous: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        if not anonymous:
            context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = f"-out {made.certificate} -keyout {made.key}"
    subprocess.run(f"{command} {names} {files}".split(), check=True, capture_output=True)
    return made


def associate(port: int, context: ssl.SSLContext | None) -> Association:
    ae = AE("MODALITY")
    ae.acse_timeout = ae.connection_timeout = 5
    ae.add_requested_context(VERIFICATION)
    tls = None if context is None else (context, "localhost")
    return ae.associate("127.0.0.1", port, ae_title="CARINA", tls_args=tls)


def test_both_sides_with_a_certificate_understand_each_other(
    tmp_path: Path, certificate: Certificate
) -> None:
    with listening(tmp_path, Office(), ssl_context=certificate.server_context()) as listener:
        assoc = associate(listener.port, certificate.client_context())
        assert assoc.is_established
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


def test_a_silent_connection_does_not_keep_the_others_waiting(
    tmp_path: Path, certificate: Certificate
) -> None:
    with (
        listening(tmp_path, Office(), ssl_context=certificate.server_context()) as listener,
        bare_connection(listener.port),
    ):
        assoc = associate(listener.port, certificate.client_context())
        assert assoc.is_established
        assoc.release()


def test_without_a_certificate_or_without_tls_nobody_comes_in(
    tmp_path: Path, certificate: Certificate
) -> None:
    with listening(
        tmp_path, Office(), ssl_context=certificate.server_context(), acse_timeout_s=1.0
    ) as listener:
        with bare_connection(listener.port) as plain:
            plain.sendall(pdu(0x01, bytes(200)))
            assert is_closed_by_peer(plain, 5)
        with bare_connection(listener.port) as connection:
            assert is_refused(connection, certificate.client_context(anonymous=True))
        assoc = associate(listener.port, certificate.client_context())
        assert assoc.is_established
        assoc.release()


def is_refused(connection: socket.socket, context: ssl.SSLContext) -> bool:
    """Shake hands and say something; return whether the peer ends it."""
    try:
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            secured.sendall(pdu(0x01, bytes(200)))
            return secured.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True
