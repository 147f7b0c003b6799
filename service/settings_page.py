"""The settings as people read them: with values in force, and as a page of the documentation."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from dicom.values import PacsNode
from service.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")
INTRODUCTION = """# Settings

Every setting is an environment variable. The same names in lower case without `CARINA_` may stand
in a TOML file that `CARINA_CONFIG` names. The environment goes before `carina.env` of the
installation (written by `carina up`), that before the TOML file, that before the default.
`carina settings` shows what is in force. A wrong value stops the start, with every fault named; so
does an unknown name in the TOML file. A variable `CARINA_…` that is none of these is not heeded:
`carina check` and `carina up` name it, and every process warns of it in its log
(`variable_not_heeded`).

Secrets (the three URLs with passwords) are masked wherever they are shown. Each may stand in a file
of its own instead, whose path is in the variable with `_FILE` behind its name
(`CARINA_DATABASE_URL_FILE=/run/secrets/database-url`). No password has a default, and one that
programs ship with is refused for a server on another machine. A listener that can be reached from
outside does not start until `CARINA_CALLERS` says who may send.

| variable | default | meaning |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: its variable, its value as text, what it means."""

    variable: str
    value: str
    meaning: str


def rows_of(settings: Settings) -> tuple[Row, ...]:
    """Return every setting with the value in force; passwords are masked."""
    return tuple(
        Row(_variable(name), _text(getattr(settings, name)), field.description or "")
        for name, field in _fields()
    )


def page() -> str:
    """Return ``docs/settings.md``."""
    lines = [
        f"| `{_variable(name)}` | {_code(_default(field))} | {_escaped(field.description or '')} |"
        for name, field in _fields()
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


def masked(url: str) -> str:
    """Return a URL without its password."""
    return PASSWORD.sub(r"\1:****@", url)


def _fields() -> "list[tuple[str, FieldInfo]]":
    """Return every setting, those of :class:`Settings` itself first, security behind them."""
    own = Settings.__annotations__
    return sorted(Settings.model_fields.items(), key=lambda each: each[0] not in own)


def _variable(name: str) -> str:
    return f"CARINA_{name.upper()}"


def _default(field: "FieldInfo") -> str:
    return "" if field.default is PydanticUndefined else _text(field.default)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return masked(value.get_secret_value())
    if isinstance(value, PacsNode) and value.tls:
        return f"{value};tls"
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return str(value)


def _code(text: str) -> str:
    return f"`{_escaped(text)}`" if text else "not set"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
