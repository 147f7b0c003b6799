"""The passwords and ports of the embedded servers, made once and kept in a private file."""

import dataclasses
import json
import random
import secrets
import socket
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import EmbeddedServerFailed
from service.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

FILE = "credentials.json"
LOOPBACK = "127.0.0.1"
# Below the range that the kernel gives to outgoing connections (32768 on), so that a port that was
# free once is not taken by chance at the next start.
PORTS = (20_000, 32_000)
TRIES = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the servers of one installation are guarded by and where they listen."""

    installation_id: str
    postgres_port: int
    valkey_port: int
    superuser_password: str = field(repr=False)
    owner_password: str = field(repr=False)
    service_password: str = field(repr=False)
    valkey_password: str = field(repr=False)


def load_or_make(home: "Path") -> Credentials:
    """Return the credentials of an installation; make them when it is new.

    Raises
    ------
    EmbeddedServerFailed
        If the file is there but cannot be read as what was written.
    """
    path = home / FILE
    if not path.exists():
        made = _make()
        keep(home, made)
        return made
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise EmbeddedServerFailed(f"{path} is damaged: restore it from a backup") from None


def keep(home: "Path", credentials: Credentials) -> None:
    """Write them into the installation's folder, for its owner only."""
    write_private(home / FILE, json.dumps(dataclasses.asdict(credentials), indent=1))


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether nobody listens on a port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do it: connections of the last minute that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now.

    Raises
    ------
    EmbeddedServerFailed
        If none was found.
    """
    for _ in range(TRIES):
        port = random.randrange(*PORTS)  # noqa: S311  (not a secret)
        if port_is_free(port):
            return port
    raise EmbeddedServerFailed(f"no free port between {PORTS[0]} and {PORTS[1]}")


def _make() -> Credentials:
    # Hexadecimal only: safe in a URL, in a shell and in a configuration file as it stands.
    return Credentials(
        installation_id=uuid.uuid4().hex,
        postgres_port=free_port(),
        valkey_port=free_port(),
        superuser_password=secrets.token_hex(24),
        owner_password=secrets.token_hex(24),
        service_password=secrets.token_hex(24),
        valkey_password=secrets.token_hex(24),
    )
