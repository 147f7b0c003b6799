"""From settings to TLS: what our listener speaks, and how we go to others."""

from typing import TYPE_CHECKING

from dicom import tls
from dicom.associate import DEFAULT_TIMEOUTS, Requestor, Timeouts
from dicom.tls import ClientTls, TlsFiles

if TYPE_CHECKING:
    import ssl

    from service.settings import Settings


def listener_context(settings: "Settings") -> "ssl.SSLContext | None":
    """Return what the listener speaks; None: no TLS.

    Raises
    ------
    CertificateUnusable
        If a file cannot be used, naming it.
    """
    if settings.listener_tls_certificate is None:
        return None
    files = TlsFiles(
        settings.listener_tls_certificate,
        settings.listener_tls_key,
        settings.listener_tls_authorities,
    )
    return tls.server_context(files, settings.listener_tls_clients)


def hl7_context(settings: "Settings") -> "ssl.SSLContext | None":
    """Return what the HL7 listener speaks; None: no TLS.

    Raises
    ------
    CertificateUnusable
        If a file cannot be used, or none is named, for the HL7 listener or the other.
    """
    if not settings.hl7_tls:
        return None
    own = settings.hl7_tls_certificate is not None
    files = TlsFiles(
        settings.hl7_tls_certificate if own else settings.listener_tls_certificate,
        settings.hl7_tls_key if own else settings.listener_tls_key,
        settings.hl7_tls_authorities or settings.listener_tls_authorities,
    )
    return tls.server_context(files, settings.hl7_tls_clients)


def client(settings: "Settings") -> ClientTls:
    """Return what we show to a node with TLS, and whom we trust there."""
    files = TlsFiles(
        settings.client_tls_certificate, settings.client_tls_key, settings.client_tls_authorities
    )
    return ClientTls(files, settings.client_tls_check_host)


def requestor(
    settings: "Settings", ae_title: str = "", timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> Requestor:
    """Return our side of an association; under the listener's AE title unless told another."""
    return Requestor(ae_title or settings.listener_ae_title, timeouts, client(settings))
