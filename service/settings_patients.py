"""The settings of corrected patients: who may tell, and what is asked before sending."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from dicom.tls import ClientCertificates
from service.settings_security import is_loopback

LOOPBACK = ("127.0.0.1", "::1")


class PatientSettings(BaseSettings):
    """HL7 v2 messages about patients; :class:`service.settings.Settings` has the rest."""

    hl7_host: str = Field("127.0.0.1", description="Address the HL7 listener binds")
    hl7_port: int = Field(
        0, ge=0, lt=2**16, description="Port for HL7 v2 ADT by MLLP; 0: no such listener"
    )
    hl7_callers: Annotated[tuple[str, ...], NoDecode] = Field(
        LOOPBACK, description="Addresses that may send HL7 messages, comma separated"
    )
    hl7_message_kb: int = Field(1000, ge=1, description="A longer HL7 message ends its connection")
    hl7_silence_s: float = Field(
        3600.0, gt=0, description="An HL7 connection that brings no message for so long is closed"
    )
    hl7_updates: bool = Field(
        default=False, description="A08 and A31 correct demographics too, not only merges"
    )
    hl7_tls: bool = Field(
        default=False,
        description="HL7 by TLS only, with the listener's certificate, key and authorities"
        " unless the three below name others",
    )
    hl7_tls_certificate: Path | None = Field(
        None, description="PEM certificate chain of the HL7 listener; unset: the listener's"
    )
    hl7_tls_key: Path | None = Field(None, description="PEM key of that certificate")
    hl7_tls_authorities: Path | None = Field(
        None,
        description="PEM authorities of HL7 senders' certificates; unset: the listener's",
    )
    hl7_tls_clients: ClientCertificates = Field(
        ClientCertificates.REQUIRED,
        description="Certificates of HL7 senders: required, optional (checked when shown), none",
    )
    ask_demographics: Literal["off", "warn", "hold"] = Field(
        "off", description="Ask the archive before sending whose study it is: off, warn, hold"
    )

    @field_validator("hl7_callers", mode="before")
    @classmethod
    def _addresses(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _nobody_writes_patients_by_default(self) -> "PatientSettings":
        if is_loopback(self.hl7_host) or not self.hl7_port:
            return self
        if "hl7_callers" not in self.model_fields_set:
            raise ValueError(
                f"hl7_host {self.hl7_host} can be reached from outside: say in CARINA_HL7_CALLERS"
                " who may send"
            )
        if "*" in self.hl7_callers:
            raise ValueError("hl7_callers * lets anybody change patients: name the addresses")
        return self

    @model_validator(mode="after")
    def _tls_of_hl7_is_said_as_a_whole(self) -> "PatientSettings":
        own = (self.hl7_tls_certificate, self.hl7_tls_key)
        if (own[0] is None) != (own[1] is None):
            raise ValueError("hl7_tls_certificate and hl7_tls_key belong together")
        if own[0] is not None and not self.hl7_tls:
            raise ValueError(
                "hl7_tls_certificate is set and hl7_tls is not: messages come in clear"
            )
        return self
