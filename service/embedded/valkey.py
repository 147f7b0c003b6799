"""The embedded Valkey: the broker of an installation on one machine.

Append-only file, synced at every write, never evicting: a bell that was rung stays rung. Losing
it would cost nothing but time (Postgres is the truth and the sweep rings again).
"""

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from service.embedded import binaries
from service.embedded.adoption import ENDING_S, adopt
from service.embedded.credentials import LOOPBACK, Credentials
from service.embedded.place import Place, runnable
from service.files import tail, write_private
from service.processes import ProcessIdentity, Program, identify

if TYPE_CHECKING:
    from collections.abc import Mapping

STOP_SIGNAL = signal.SIGTERM  # saves and leaves
ANSWER_S = 2.0


class EmbeddedValkey:
    """One Valkey of one installation; parameters as of ``EmbeddedPostgres``."""

    name: str = "valkey"
    stop_signal: signal.Signals = STOP_SIGNAL
    grace_s = ENDING_S

    def __init__(self, place: Place, credentials: Credentials, log: Path) -> None:
        self._place = place
        self._credentials = credentials
        self._log = log
        installed = binaries.valkey()
        size = (installed.folder / "valkey-server").stat().st_size
        self._program = runnable(installed, place, f"valkey-{size}") / "valkey-server"

    @property
    def port(self) -> int:
        """Where it listens on the loopback."""
        return self._credentials.valkey_port

    @property
    def data(self) -> Path:
        """Where it keeps its append-only file."""
        return self._place.folder / "valkey"

    @property
    def url(self) -> str:
        """The broker URL for Celery."""
        return f"redis://:{self._credentials.valkey_password}@{LOOPBACK}:{self._credentials.valkey_port}/0"

    def prepare(self) -> None:
        """Write its configuration; the password stands there and not in the arguments."""
        self._place.data_folder("valkey")
        configuration = self.data / "valkey.conf"
        write_private(configuration, self._configuration())
        self._place.hand_over(configuration)

    def program(self, environment: "Mapping[str, str]") -> Program:
        """Return how to start the server; ``environment`` is added to the little it gets."""
        return Program(
            argv=(str(self._program), str(self.data / "valkey.conf")),
            log=self._log,
            environment={"LC_ALL": "C", "PATH": os.defpath, **environment},
            working_folder=self.data,
            account=self._place.account,
            at_parents_death=STOP_SIGNAL,
        )

    def adopt(self) -> ProcessIdentity | None:
        """Return the server that already runs in this folder and takes our password.

        Raises
        ------
        EmbeddedServerFailed
            If one runs there that neither answers nor ends.
        """
        return adopt(self._running(), STOP_SIGNAL, self.is_ready)

    def is_ready(self) -> bool:
        """Return whether it takes our password and has its data loaded."""
        words = (("AUTH", self._credentials.valkey_password), ("PING",))
        try:
            with socket.create_connection(
                (LOOPBACK, self._credentials.valkey_port), ANSWER_S
            ) as link:
                return [_ask(link, *each) for each in words] == [b"+OK", b"+PONG"]
        except OSError:
            return False

    def explain(self) -> str:
        """Return the last words of its log, for an error message."""
        return tail(self._log)

    def _running(self) -> ProcessIdentity | None:
        try:
            text = (self.data / "valkey.pid").read_text(encoding="ascii").strip()
            pid = int(text)
            there = Path(f"/proc/{pid}/cwd").resolve(strict=True)
        except (OSError, ValueError):
            return None
        return identify(pid) if there == self.data.resolve() else None

    def _configuration(self) -> str:
        lines = (
            f"bind {LOOPBACK}",
            f"port {self._credentials.valkey_port}",
            f"requirepass {self._credentials.valkey_password}",
            f'dir "{self.data}"',
            f'pidfile "{self.data / "valkey.pid"}"',
            "protected-mode yes",
            "daemonize no",
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
        )
        return "\n".join(lines) + "\n"


def _ask(link: socket.socket, *words: str) -> bytes:
    """Send one command of the RESP protocol; return the first line of the answer."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    link.sendall(f"*{len(words)}\r\n{parts}".encode())
    return link.recv(1024).partition(b"\r\n")[0]
