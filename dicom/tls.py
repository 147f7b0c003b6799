"""TLS for DICOM, both ways: the profile of BCP 195 (PS3.15 B.12; RFC 8996 and RFC 9325).

TLS 1.2 and 1.3 only; with 1.2 only cipher suites with forward secrecy and authenticated
encryption; no compression, no renegotiation. A context is read from files every time it is made,
so the client's side of a renewed certificate needs no restart.
"""

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from dicom.errors import CertificateUnusable

if TYPE_CHECKING:
    import socket
    from pathlib import Path

CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM"
"""TLS_ECDHE_{ECDSA,RSA}_WITH_AES_{128,256}_GCM_SHA{256,384}: what RFC 9325 4.2 recommends."""

_UNNAMED = "TLS failed"


class ClientCertificates(StrEnum):
    """What a listener wants of its callers."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # checked when shown
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our chain (our certificate first), its key, and whom we trust.

    ``certificate`` and ``key`` are None for a side that shows none, ``authorities`` None for the
    authorities of the operating system.
    """

    certificate: "Path | None" = None
    key: "Path | None" = None
    authorities: "Path | None" = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How we go to a peer that speaks TLS; ``check_host``: its certificate must name its host."""

    files: TlsFiles
    check_host: bool = True


class TellingSocket(ssl.SSLSocket):
    """A socket that remembers in words why TLS failed: pynetdicom keeps it to itself."""

    fault: str = ""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in the library
        """Shake hands; raises what the library raises."""
        try:
            super().do_handshake(block)
        except ssl.SSLError as error:
            self.fault = words(error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what came; with TLS 1.3 a refusal of our certificate shows only here."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self.fault = words(error)
            raise


def server_context(files: TlsFiles, clients: ClientCertificates) -> ssl.SSLContext:
    """Return what a listener speaks.

    Raises
    ------
    CertificateUnusable
        If a file is missing, is not PEM, or the key does not belong to the certificate.
    """
    context = _bounded(ssl.PROTOCOL_TLS_SERVER)
    _show(context, files)
    context.verify_mode = {
        ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
        ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
        ClientCertificates.NONE: ssl.CERT_NONE,
    }[clients]
    if clients is not ClientCertificates.NONE:
        _trust(context, files, ssl.Purpose.CLIENT_AUTH)
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Return what a user of another node speaks; raises as :func:`server_context`."""
    context = _bounded(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.check_host
    context.sslsocket_class = TellingSocket
    if tls.files.certificate is not None:
        _show(context, tls.files)
    _trust(context, tls.files, ssl.Purpose.SERVER_AUTH)
    return context


class Wrapping:
    """Stands where pynetdicom wants a context: keeps every socket that it wraps."""

    def __init__(self, context: ssl.SSLContext, kept: "list[socket.socket]") -> None:
        self._context = context
        self._kept = kept

    def wrap_socket(self, plain: "socket.socket", **options: Any) -> ssl.SSLSocket:  # noqa: ANN401
        """Return the socket wrapped."""
        wrapped = self._context.wrap_socket(plain, **options)
        self._kept.append(wrapped)
        return wrapped


def words(error: ssl.SSLError) -> str:
    """Return why TLS failed, in the library's words; nothing of the peer is repeated."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}".rstrip(".")
    return f"{_UNNAMED}: {error.reason.replace('_', ' ').lower()}" if error.reason else _UNNAMED


def _bounded(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_OF_TLS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _show(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.certificate is None or files.key is None:
        raise CertificateUnusable("a certificate and its key are needed, each in a PEM file")
    try:
        # Without the answer OpenSSL would ask the terminal for the password of a locked key.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except (OSError, ValueError) as error:
        where = f"{files.certificate}, {files.key}"
        raise CertificateUnusable(f"{where}: {_why(error)}") from None


def _trust(context: ssl.SSLContext, files: TlsFiles, purpose: ssl.Purpose) -> None:
    if files.authorities is None:
        context.load_default_certs(purpose)
        return
    try:
        context.load_verify_locations(files.authorities)
    except (OSError, ValueError) as error:
        raise CertificateUnusable(f"{files.authorities}: {_why(error)}") from None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return words(error)
    return cast("str | None", getattr(error, "strerror", None)) or type(error).__name__
