"""The receivers that are compared: Carina as shipped, Orthanc as packaged, dcmtk's storescp."""

import contextlib
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from dicom.values import PacsNode
from scripts.installation import Installation, first_free_port, system_program
from service.parts import MARK, PART
from tests import orthanc

LOOPBACK = "127.0.0.1"
START_S = 300.0
INGEST_ONLY = {"CARINA_QUIET_PERIOD_S": "86400", "CARINA_LOG_LEVEL": "WARNING"}
"""Nothing is read while receiving is measured; the log of every instance is the user's choice."""


class Target(ABC):
    """One receiver: where to send, what it costs, how to make room after a run."""

    name: str
    node: PacsNode

    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Return the processes whose processor time counts."""

    @abstractmethod
    def stored(self) -> int:
        """Return how many objects it holds."""

    @abstractmethod
    def make_room(self) -> None:
        """Remove the bytes of ended runs; not part of what is measured."""

    def cpu_s(self) -> float:
        """Return the processor seconds spent so far, children that have ended included."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = process.cpu_times()
                total += spent.user + spent.system + spent.children_user + spent.children_system
        return total


class CarinaTarget(Target):
    """A whole installation, started by ``carina up``; the listener and Postgres are counted."""

    def __init__(self, installation: Installation, name: str, port: int) -> None:
        self.name = name
        self.node = PacsNode("CARINA", LOOPBACK, port)
        self.installation = installation

    def processes(self) -> list[psutil.Process]:
        """Return the listener, its children, and Postgres with its backends."""
        ids = self.installation.processes()
        return [one for part in ("listen", "postgres") for one in _with_children(ids.get(part, 0))]

    def stored(self) -> int:
        """Return how many objects lie in the spool."""
        return sum(1 for _ in self._objects().rglob("*.dcm"))

    def make_room(self) -> None:
        """Empty the spool behind its back: no study of this installation is ever read."""
        for folder in self._objects().glob("*/*"):
            shutil.rmtree(folder)

    def _objects(self) -> Path:
        return self.installation.home / "spool" / "objects"


class ListenerTarget(CarinaTarget):
    """One more listener beside a running installation, in its spool and database.

    A listener that nobody sends to costs next to nothing, a whole installation would not.
    """

    def __init__(self, beside: "CarinaTarget", name: str, variables: Mapping[str, str]) -> None:
        port = first_free_port()
        super().__init__(beside.installation, name, port)
        listen = psutil.Process(beside.installation.processes()["listen"])
        # Without its marks the supervisor does not take this one for a part of its own.
        told = {key: value for key, value in listen.environ().items() if key not in (MARK, PART)}
        log = beside.installation.home / "logs" / f"listen-{port}.log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "listen"],
                stdin=subprocess.DEVNULL,
                stderr=file,
                env={**told, **variables, "CARINA_LISTENER_PORT": str(port)},
            )

    def processes(self) -> list[psutil.Process]:
        """Return this listener, its children, and Postgres with its backends."""
        postgres = self.installation.processes().get("postgres", 0)
        return [*_with_children(self.process.pid), *_with_children(postgres)]

    def stop(self) -> None:
        """End it and wait until it has ended."""
        self.process.terminate()
        self.process.wait()


class OrthancTarget(Target):
    """Orthanc with the defaults of Debian's package: SQLite, and it fsyncs what it stores."""

    name = "Orthanc"

    def __init__(self, server: orthanc.Orthanc) -> None:
        self.node = server.node
        self._server = server

    def processes(self) -> list[psutil.Process]:
        """Return the one process."""
        held = str(self._server.folder)
        return [
            one
            for one in psutil.process_iter(["cmdline"])
            if any(held in word for word in one.info["cmdline"] or ())
        ]

    def stored(self) -> int:
        """Return how many instances it counts."""
        return int(self._server.get("/statistics")["CountInstances"])

    def make_room(self) -> None:
        """Delete every study."""
        for study in self._server.get("/studies"):
            self._server.delete(f"/studies/{study}")


class StorescpTarget(Target):
    """storescp, one process per association. It does not fsync and keeps no index."""

    name = "storescp"

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, port: int) -> None:
        self.node = PacsNode("STORESCP", LOOPBACK, port)
        self._folder = folder
        self._process = psutil.Process(process.pid)

    def processes(self) -> list[psutil.Process]:
        """Return the parent, whose times hold those of its ended children."""
        return _with_children(self._process.pid)

    def stored(self) -> int:
        """Return how many files it wrote."""
        return sum(1 for _ in self._folder.iterdir())

    def make_room(self) -> None:
        """Remove them."""
        for path in self._folder.iterdir():
            path.unlink()


@contextlib.contextmanager
def carina(folder: Path, processes: int, pacs: PacsNode | None = None) -> Iterator[CarinaTarget]:
    """Run an installation with one or more listener processes."""
    port = first_free_port()
    variables = INGEST_ONLY | {
        "CARINA_LISTENER_PORT": str(port),
        "CARINA_LISTENER_PROCESSES": str(processes),
        "CARINA_WEB_PORT": "0",
        **({"CARINA_PACS": str(pacs)} if pacs else {}),
    }
    installation = Installation(folder, variables)
    installation.up()
    try:
        yield CarinaTarget(installation, named(processes, fast_path=False), port)
    finally:
        installation.down()


@contextlib.contextmanager
def listeners(beside: CarinaTarget, *, fast_path: bool, processes: int) -> Iterator[ListenerTarget]:
    """Run a further listener of an installation, with one or more processes."""
    variables = {
        "CARINA_LISTENER_PROCESSES": str(processes),
        "CARINA_LISTENER_FAST_PATH": str(fast_path),
    }
    target = ListenerTarget(beside, named(processes, fast_path=fast_path), variables)
    try:
        _wait_until_listening(target.node.port, target.process)
        yield target
    finally:
        target.stop()


def named(processes: int, *, fast_path: bool) -> str:
    """Return what the tables call a listener."""
    plural = "process" if processes == 1 else "processes"
    return f"Carina, {processes} {plural}{', fast path' if fast_path else ''}"


@contextlib.contextmanager
def packaged_orthanc(folder: Path) -> Iterator[OrthancTarget]:
    """Run Orthanc as Debian configures it, but for ports, folders and who may send."""
    options = orthanc.OrthancOptions(extra={"SyncStorageArea": True})
    with orthanc.running(folder, options) as server:
        yield OrthancTarget(server)


@contextlib.contextmanager
def storescp(folder: Path) -> Iterator[StorescpTarget]:
    """Run dcmtk's receiver with its defaults and one process per association."""
    folder.mkdir(parents=True, exist_ok=True)
    port = first_free_port()
    command = [
        *(system_program("storescp"), "--quiet", "--fork", "--accept-all", "--aetitle", "STORESCP"),
        *("--output-directory", str(folder), str(port)),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env={"TCP_NODELAY": "1"})
    try:
        _wait_until_listening(port, process)
        yield StorescpTarget(process, folder, port)
    finally:
        process.terminate()
        process.wait()


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while not any(link.laddr[1:] == (port,) for link in psutil.net_connections("tcp4")):
        if time.monotonic() > deadline or process.poll() is not None:
            raise TimeoutError(f"nobody listens on port {port}")
        time.sleep(0.05)


def _with_children(process_id: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process_id)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
