"""Which installation a command is about, and the settings it was last started with.

An installation is one folder: spool, results, audit heads, and for the embedded default the
servers, the logs and ``carina.env``. That file is written by ``carina up`` so that every other
command, given the same folder, finds the same servers and settings. What stands in the environment
goes before what stands in the file.
"""

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from service.errors import SettingsInvalid
from service.files import write_private

HOME = "CARINA_HOME"
DEFAULT_HOME = "carina-data"
FILE = "carina.env"
EMBEDDED = "CARINA_EMBEDDED"
"""Names in the file the servers whose URLs ``carina up`` made; never set by an operator."""
SECRET_FILE = "_FILE"  # noqa: S105  (the end of a name)
"""Behind the name of a setting that is a secret: a file holds it."""

_LINE = re.compile(r"(CARINA_[A-Z0-9_]+)='([^'\n]*)'")


def enter(data: Path | None, environment: MutableMapping[str, str] | None = None) -> Path:
    """Make an installation the one that settings are read for; return its folder.

    Parameters
    ----------
    data
        Its folder; None: the environment's ``CARINA_HOME``, else ``carina-data`` here.
    environment
        Changed in place; None: the environment of this process.

    Raises
    ------
    SettingsInvalid
        If its file of settings is damaged or not ours to read.
    """
    variables = os.environ if environment is None else environment
    home = (data or Path(variables.get(HOME) or DEFAULT_HOME)).absolute()
    variables[HOME] = str(home)
    given = set(variables)
    for name, value in remembered(home).items():
        # A secret comes by value or by file: the way that is kept gives way to the one given now.
        if name != EMBEDDED and _twin(name) not in given:
            variables.setdefault(name, value)
    return home


def _twin(name: str) -> str:
    """Return the other name of the same secret; every name has one, few are ever set."""
    return name.removesuffix(SECRET_FILE) if name.endswith(SECRET_FILE) else name + SECRET_FILE


def remembered(home: Path) -> dict[str, str]:
    """Return what the file of an installation says; empty when there is none.

    Raises
    ------
    SettingsInvalid
        If a line is not ``NAME='value'``, or the file cannot be read.
    """
    path = home / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsInvalid([f"{path}: {error.strerror}"]) from None
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise SettingsInvalid([f"{path}, line {number}: not NAME='value'"])
        values[found.group(1)] = found.group(2)
    return values


def remember(home: Path, values: Mapping[str, str]) -> None:
    """Write the file; a shell, systemd's EnvironmentFile and ``remembered`` can read it.

    Raises
    ------
    SettingsInvalid
        If a value holds a quote or a line break.
    """
    bad = [name for name, value in values.items() if "'" in value or "\n" in value]
    if bad:
        raise SettingsInvalid([f"{name}: a quote or line break cannot be kept" for name in bad])
    lines = [f"{name}='{value}'" for name, value in sorted(values.items())]
    head = f"# Written by `carina up`. The environment goes before it; {HOME} is this folder."
    write_private(home / FILE, "\n".join([head, *lines]) + "\n")


def is_embedded(home: Path, server: str, url: str) -> bool:
    """Return whether ``url`` is empty or one that ``carina up`` itself made for this server."""
    if not url:
        return True
    values = remembered(home)
    return server in values.get(EMBEDDED, "").split(",") and url in values.values()
