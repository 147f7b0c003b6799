"""The embedded servers of one installation together: ports settled, URLs known."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from service.embedded import credentials, place
from service.embedded.credentials import Credentials
from service.embedded.postgres import OWNER, SERVICE, EmbeddedPostgres
from service.embedded.valkey import EmbeddedValkey

DATABASE_URL = "CARINA_DATABASE_URL"
OWNER_URL = "CARINA_DATABASE_OWNER_URL"
BROKER_URL = "CARINA_BROKER_URL"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which servers an installation runs itself; ``pg_bin`` as of the setting of that name."""

    postgres: bool
    valkey: bool
    pg_bin: Path | None = None


@dataclass(frozen=True, slots=True)
class Servers:
    """Those that are wanted; None for the others."""

    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None

    @property
    def parts(self) -> tuple[EmbeddedPostgres | EmbeddedValkey, ...]:
        """The servers there are, in the order of starting."""
        return tuple(one for one in (self.postgres, self.valkey) if one is not None)

    @property
    def urls(self) -> dict[str, str]:
        """How the processes reach them, as settings by name."""
        found = {}
        if self.postgres is not None:
            found[DATABASE_URL] = self.postgres.url(SERVICE)
            found[OWNER_URL] = self.postgres.url(OWNER)
        if self.valkey is not None:
            found[BROKER_URL] = self.valkey.url
        return found

    def set_up(self) -> None:
        """Make what the processes need inside them; they answer already."""
        if self.postgres is not None:
            self.postgres.set_up_roles()


def settle(home: Path, known: Credentials, wanted: Wanted) -> Servers:
    """Return the servers of an installation, each on a port that it can have.

    A port that somebody else took since the last start is replaced and the new one kept.

    Raises
    ------
    EmbeddedServerFailed
        If there are no programs, no place or no port for them.
    """
    if not (wanted.postgres or wanted.valkey):
        return Servers(None, None)
    there = place.choose(home, known.installation_id)
    servers = _make(home, known, wanted, there)
    moved = known
    if servers.postgres is not None and _is_taken(servers.postgres):
        moved = dataclasses.replace(moved, postgres_port=credentials.free_port())
    if servers.valkey is not None and _is_taken(servers.valkey):
        moved = dataclasses.replace(moved, valkey_port=credentials.free_port())
    if moved == known:
        return servers
    credentials.keep(home, moved)
    return _make(home, moved, wanted, there)


def _is_taken(server: EmbeddedPostgres | EmbeddedValkey) -> bool:
    return server.adopt() is None and not credentials.port_is_free(server.port)


def _make(home: Path, known: Credentials, wanted: Wanted, there: place.Place) -> Servers:
    logs = home / "logs"
    return Servers(
        EmbeddedPostgres(there, known, logs / "postgres.log", wanted.pg_bin)
        if wanted.postgres
        else None,
        EmbeddedValkey(there, known, logs / "valkey.log") if wanted.valkey else None,
    )
