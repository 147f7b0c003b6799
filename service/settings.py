"""All settings, read once at the edge and passed on as values.

Every field is an environment variable ``CARINA_<NAME>``; the same names in lower case may stand in
a TOML file named by ``CARINA_CONFIG``. The environment wins. ``load`` names every fault at once.
"""

import os
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dicom.values import Caller, PacsNode, ResultKind
from service.addresses import AE_TITLE_MAX, parse_caller, parse_destination, parse_node
from service.errors import SettingsInvalid
from service.settings_lanes import LaneSettings
from service.settings_patients import PatientSettings
from service.settings_retention import RetentionSettings
from service.settings_security import SecretFiles, SecuritySettings, faults_of_access
from service.values import Destination, Proof

LOOPBACK = ("127.0.0.1", "::1")

CommaList = Annotated[tuple[Any, ...], NoDecode]


class Settings(SecuritySettings, RetentionSettings, PatientSettings, LaneSettings):
    """The settings of one installation."""

    model_config = SettingsConfigDict(env_prefix="CARINA_", extra="ignore", frozen=True)

    home: Path = Field(Path("carina-data"), description="Folder of spool, results, audit heads")

    listener_host: str = Field("127.0.0.1", description="Address the listener binds")
    listener_port: int = Field(11112, ge=1, lt=2**16, description="DICOM port of the listener")
    listener_ae_title: str = Field(
        "CARINA", min_length=1, max_length=AE_TITLE_MAX, description="AE title of the listener"
    )
    listener_processes: int = Field(1, ge=1, le=16, description="Listener processes on one port")
    listener_fast_path: bool = Field(
        default=False, description="Short way of a data set into the spool; see docs/operations.md"
    )
    callers: Annotated[tuple[Caller, ...], NoDecode] = Field(
        tuple(Caller("*", address) for address in LOOPBACK),
        description="Who may send: AET@address, comma separated, * for any",
    )
    other_sop_classes: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further storage SOP class UIDs that are recorded, not read"
    )

    pacs: PacsNode | None = Field(None, description="Where drafts go: AET@host:port[;tls]")
    destinations: Annotated[tuple[Destination, ...], NoDecode] = Field(
        (), description="Further archives, comma separated: name=AET@host:port or name=https://…"
    )
    proof: Proof = Field(Proof.AUTO, description="How CARINA_PACS proves: commitment, query, auto")
    replaced: str = Field(
        "leave", description="CARINA_PACS, of old objects: leave, reject, or delete;orthanc=URL"
    )
    commitment_timeout_s: float = Field(
        60.0, gt=0, description="Wait for a storage commitment report before asking anew"
    )
    delivery: Literal["auto", "shadow", "live"] = Field(
        "auto",
        description="live, shadow (nothing is sent), or auto: live to loopback, shadow to any other"
        " PACS",
    )
    demo_override: str = Field(
        "", description="The exact AET@host:port (or URL) a demo bundle may deliver to; audited"
    )
    results: Annotated[tuple[ResultKind, ...], NoDecode] = Field(
        tuple(ResultKind), description="Which result objects are made; text is always made"
    )
    destination_profile: Literal["auto", "comprehensive3d", "comprehensive", "enhanced"] = Field(
        "auto",
        description="Which SR the archive takes: comprehensive3d, comprehensive, enhanced; auto: it"
        " is asked",
    )
    proof_timeout_s: float = Field(
        60.0, gt=0, description="How long proof is asked before resending"
    )

    database_url: SecretStr = Field(SecretStr(""), description="postgresql+psycopg://…")
    database_owner_url: SecretStr = Field(
        SecretStr(""), description="Role that owns the tables, for `carina db upgrade`"
    )
    broker_url: SecretStr = Field(SecretStr(""), description="redis://… or amqp://…")
    pg_bin: Path | None = Field(
        None, description="Folder of Postgres programs for `carina up`; unset: the wheel's"
    )

    quiet_period_s: float = Field(10.0, ge=0, description="A study is closed after this silence")
    lease_s: float = Field(60.0, gt=1, description="How long a claim lasts without heartbeat")
    soft_limit_s: float | None = Field(
        None, gt=0, description="A job running longer is given back; unset: 9/10 of the hard limit"
    )
    hard_limit_s: float = Field(300.0, gt=1, description="A job running longer is killed")
    max_attempts: int = Field(3, ge=1, description="Attempts before a job counts as poison")
    batch: int = Field(4, ge=1, le=64, description="Films a worker claims at once")

    bundles: Path | None = Field(None, description="Folder of network bundles; unset: the shipped")
    anatomy_bundle: str = Field("anatomy-mini", description="Name of the anatomy bundle")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the networks run: cpu, cuda")
    network_threads: int = Field(0, ge=0, description="Threads of the network; 0 = all processors")

    unknown_age: Literal["read", "skip"] = Field(
        "read", description="Films whose age is unknown: read, skip"
    )
    unknown_view: Literal["read", "skip"] = Field(
        "read", description="Films whose view is unknown: read, skip"
    )
    adult_age_years: float = Field(18.0, ge=0, description="Younger patients are not read")

    web_host: str = Field("127.0.0.1", description="Address of the web page: loopback only")
    web_port: int = Field(8080, ge=0, lt=2**16, description="Port of the web page")
    log_format: Literal["json", "console"] = Field(
        "json", description="How log lines look: json, console"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="From which level on events are logged: DEBUG, INFO, WARNING, ERROR"
    )
    otlp_endpoint: str = Field(
        "", description="Collector of traces (OTLP over HTTP), http://host:4318; empty: none"
    )

    @field_validator("callers", mode="before")
    @classmethod
    def _callers(cls, value: object) -> object:
        return tuple(map(parse_caller, _split(value))) if isinstance(value, str) else value

    @field_validator("results", mode="before")
    @classmethod
    def _results(cls, value: object) -> object:
        kinds = _split(value) if isinstance(value, str) else value
        return tuple(kinds) if isinstance(kinds, list) else kinds

    @field_validator("other_sop_classes", mode="before")
    @classmethod
    def _other(cls, value: object) -> object:
        return tuple(_split(value)) if isinstance(value, str) else value

    @field_validator("destinations", mode="before")
    @classmethod
    def _destinations(cls, value: object) -> object:
        parts = _split(value) if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            return value
        return tuple(parse_destination(one) if isinstance(one, str) else one for one in parts)

    @field_validator("pacs", mode="before")
    @classmethod
    def _pacs(cls, value: object) -> object:
        return (parse_node(value) if value.strip() else None) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if ResultKind.TEXT_SR not in self.results:
            raise ValueError("results must contain 'text': the text SR is always made")
        names = [one.name for one in self.archives]
        if len(set(names)) < len(names):
            raise ValueError("destinations must have names of their own ('pacs' is CARINA_PACS)")
        if self.soft_limit_s is not None and self.soft_limit_s >= self.hard_limit_s:
            raise ValueError("soft_limit_s must be shorter than hard_limit_s")
        if self.hard_limit_s <= self.lease_s:
            raise ValueError("hard_limit_s must be longer than lease_s")
        return self

    @model_validator(mode="after")
    def _nobody_comes_in_by_default(self) -> "Settings":
        if faults := faults_of_access(self, self.listener_host, self.callers):
            raise ValueError("; ".join(faults))
        return self

    @property
    def archives(self) -> tuple[Destination, ...]:
        """Every destination; the first one decides what kinds of SR are made."""
        if self.pacs is None:
            return self.destinations
        default = parse_destination(f"pacs=A@h:1;replaced={self.replaced}")
        return (replace(default, to=self.pacs, proof=self.proof), *self.destinations)

    @property
    def given_back_after_s(self) -> float:
        """How long a job runs before its worker gives it back, somewhat before it is killed."""
        return 0.9 * self.hard_limit_s if self.soft_limit_s is None else self.soft_limit_s

    @property
    def spool(self) -> Path:
        """Where instances are kept as received."""
        return self.home / "spool"

    @property
    def kept_results(self) -> Path:
        """Where encoded results are kept."""
        return self.home / "results"

    @property
    def corrections(self) -> Path:
        """Where messages about patients and the identities they brought are kept."""
        return self.home / "corrections"

    @property
    def audit_heads(self) -> Path:
        """The file of sealed audit heads, outside the database."""
        return self.home / "audit" / "heads.jsonl"

    @property
    def quiet_period(self) -> timedelta:
        """The silence after which a study is closed."""
        return timedelta(seconds=self.quiet_period_s)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment and the files it names, then the TOML file."""
        secrets = SecretFiles(settings_cls)
        return init_settings, secrets, env_settings, InitSettingsSource(settings_cls, _from_file())


def load(**overrides: Any) -> Settings:  # noqa: ANN401  (pydantic validates)
    """Read and validate all settings.

    Raises
    ------
    SettingsInvalid
        Naming every fault, with the variable it is in.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsInvalid([_fault(item) for item in error.errors()]) from None


def _fault(item: Any) -> str:  # noqa: ANN401
    name = "_".join(str(part) for part in item["loc"][:1]) or "settings"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"CARINA_{name.upper()}: {message}" if item["loc"] else message


def _from_file() -> dict[str, Any]:
    path = os.environ.get("CARINA_CONFIG", "")
    if not path:
        return {}
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid([f"CARINA_CONFIG: {error}"]) from None
    unknown = sorted(set(content) - set(Settings.model_fields))
    if unknown:
        raise SettingsInvalid([f"CARINA_CONFIG: unknown setting {name!r}" for name in unknown])
    return content


def _split(value: object) -> list[str]:
    return [part.strip() for part in str(value).split(",") if part.strip()]
