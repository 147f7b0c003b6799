"""The settings that keep strangers and accidents out: TLS, limits, and where secrets come from."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from dicom.tls import ClientCertificates
from service.errors import SettingsInvalid
from service.installation import SECRET_FILE

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from dicom.values import Caller

PREFIX = "CARINA_"
ANY = "*"
LOCALHOST = "localhost"
COMMON_PASSWORDS = frozenset(
    (
        "admin",
        "carina",
        "changeme",
        "guest",
        "orthanc",
        "password",
        "postgres",
        "rabbitmq",
        "secret",
    )
)
"""Those that programs ship with; nobody's own."""


class SecuritySettings(BaseSettings):
    """TLS and limits of one installation; :class:`service.settings.Settings` has the rest."""

    listener_tls_certificate: Path | None = Field(
        None, description="PEM certificate chain of the listener; set: the listener speaks only TLS"
    )
    listener_tls_key: Path | None = Field(None, description="PEM key of that certificate")
    listener_tls_authorities: Path | None = Field(
        None,
        description="PEM authorities that callers' certificates come from; unset: the system's",
    )
    listener_tls_clients: ClientCertificates = Field(
        ClientCertificates.REQUIRED,
        description="Certificates of callers: required, optional (checked when shown), none",
    )
    client_tls_certificate: Path | None = Field(
        None, description="PEM certificate chain we show to an archive with TLS"
    )
    client_tls_key: Path | None = Field(None, description="PEM key of that certificate")
    client_tls_authorities: Path | None = Field(
        None,
        description="PEM authorities that archives' certificates come from; unset: the system's",
    )
    client_tls_check_host: bool = Field(
        default=True, description="An archive's certificate must name its host"
    )

    maximum_associations: int = Field(50, ge=1, description="Associations at once, per process")
    maximum_connections: int = Field(100, ge=1, description="TCP connections at once, per process")
    connections_per_address: int = Field(
        50, ge=1, description="TCP connections at once from one address that may send"
    )
    connections_per_stranger: int = Field(
        4, ge=1, description="TCP connections at once from any other address"
    )
    association_timeout_s: float = Field(
        10.0, gt=0, description="From connecting to the whole association request, TLS included"
    )
    pdu_timeout_s: float = Field(60.0, gt=0, description="For one PDU to come in whole")
    silence_timeout_s: float = Field(60.0, gt=0, description="Between two messages of a caller")
    maximum_instance_mb: int = Field(2048, ge=1, description="A larger instance gets 0xA700")
    disk_reserve_mb: int = Field(500, ge=0, description="Free space below which 0xA700 is answered")
    disk_resume_mb: int | None = Field(
        None, ge=0, description="Free space from which on films are taken again; unset: twice that"
    )

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> "SecuritySettings":
        for side in ("listener", "client"):
            pair = [getattr(self, f"{side}_tls_{part}") for part in ("certificate", "key")]
            if (pair[0] is None) != (pair[1] is None):
                raise ValueError(f"{side}_tls_certificate and {side}_tls_key belong together")
        return self

    @model_validator(mode="after")
    def _disk_resumes_above_its_reserve(self) -> "SecuritySettings":
        if self.disk_resume_mb is not None and self.disk_resume_mb < self.disk_reserve_mb:
            raise ValueError("disk_resume_mb must not be less than disk_reserve_mb")
        return self

    @property
    def resume_mb(self) -> int:
        """Free space from which on films are taken again, after they had been refused."""
        return 2 * self.disk_reserve_mb if self.disk_resume_mb is None else self.disk_resume_mb


class SecretFiles(PydanticBaseSettingsSource):
    """Reads a secret from the file that ``CARINA_<NAME>_FILE`` names, a container's secret say.

    Raises
    ------
    SettingsInvalid
        If a secret is given in both ways, or its file cannot be read.
    """

    def get_field_value(self, field: "FieldInfo", field_name: str) -> tuple[Any, str, bool]:
        """Return the secret in the file, None when no file is named."""
        variable = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(variable + SECRET_FILE, "")
        if field.annotation is not SecretStr or not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise SettingsInvalid([f"{variable}: set, and {variable}{SECRET_FILE} as well"])
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            raise SettingsInvalid([f"{variable}{SECRET_FILE}: {path}: {why}"]) from None

    def __call__(self) -> dict[str, Any]:
        """Return every secret that a file holds."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its very name: no resolver is asked."""
    if host.lower() == LOCALHOST:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def faults_of_access(
    settings: SecuritySettings, host: str, callers: "tuple[Caller, ...]"
) -> tuple[str, ...]:
    """Return what lets strangers in: a listener open to anybody, a password everybody knows."""
    authenticated = (
        settings.listener_tls_certificate is not None
        and settings.listener_tls_clients is ClientCertificates.REQUIRED
    )
    listener = fault_of_listener(
        host,
        callers,
        named="callers" in settings.model_fields_set,
        authenticated=authenticated,
    )
    secrets = ("database_url", "database_owner_url", "broker_url")
    passwords = (
        fault_of_password(name, getattr(settings, name).get_secret_value()) for name in secrets
    )
    return tuple(filter(None, (listener, *passwords)))


def fault_of_listener(
    host: str, callers: "tuple[Caller, ...]", *, named: bool, authenticated: bool
) -> str:
    """Return what is wrong with who may send; "" when nothing is.

    Whoever can be reached from outside says who may come: by ``callers`` that the site has
    ``named``, and not just anybody unless everybody is ``authenticated`` by a certificate.
    """
    if is_loopback(host):
        return ""
    if not named:
        return (
            f"listener_host {host} can be reached from outside: say in CARINA_CALLERS who may send"
        )
    anybody = any(one.ae_title == ANY and one.address == ANY for one in callers)
    if anybody and not authenticated:
        return "callers *@* lets anybody send: name them, or require certificates by TLS"
    return ""


def fault_of_password(variable: str, url: str) -> str:
    """Return what is wrong with the password in a URL; "" when nothing is.

    On another machine a password that programs ship with, or that is the user's name, is none.
    """
    try:
        parts = urlsplit(url)
        host, password = parts.hostname or "", parts.password
    except ValueError:
        return ""  # what reads the URL will name that
    if password is None or not host or is_loopback(host):
        return ""
    if password.lower() in COMMON_PASSWORDS or password == parts.username:
        return f"{variable}: its password is one that everybody knows"
    return ""
