"""The whole system of a campaign: Carina as shipped, an Orthanc, and the lines between them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dicom import failpoints
from dicom.values import PacsNode
from scripts.faults import disk, network, sabotage
from scripts.faults import rabbit as rabbits
from scripts.faults.rabbit import Rabbit
from scripts.faults.switch import Switch, Way
from scripts.installation import Installation, first_free_port
from service import installation as kept_settings
from service import runstate
from service.embedded.servers import BROKER_URL, OWNER_URL
from service.ready import READY_FILE
from service.runstate import PartState, Phase
from tests import orthanc
from tests.namespaces import Cable

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "scripts" / "faults" / "entry"
SETTINGS = {
    "CARINA_WEB_PORT": "0",
    "CARINA_QUIET_PERIOD_S": "0.5",
    "CARINA_LEASE_S": "8",
    "CARINA_HARD_LIMIT_S": "24",
    "CARINA_PROOF_TIMEOUT_S": "6",
    "CARINA_COMMITMENT_TIMEOUT_S": "5",
    "CARINA_DISK_RESERVE_MB": "2",
    "CARINA_DISK_RESUME_MB": "4",
    "CARINA_RESULTS": "findings,boxes,text",
}
"""Everything is as shipped but for these; the times are short so that an episode is."""
USUAL_CHANGES = ("stand-in", "clock", "hurry")
HEALTHY_S = 180.0
BROKERS = VALKEY, RABBITMQ = ("valkey", "rabbitmq")


@dataclass
class Hospital:
    """One running system and the handles of everything in it."""

    home: Path
    archive: orthanc.Orthanc
    to_archive: Switch
    to_listener: Switch
    carina: Installation
    environment: dict[str, str]
    points: Path
    spool_is_mounted: bool
    spool_disk: Path | None = None  # the file that the spool's file system lies in
    cable: Cable | None = None  # to another host, which modality and archive can be put on
    rabbit: Rabbit | None = None  # instead of the embedded broker
    extras: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """The database as the service's role, for psycopg."""
        return self.carina.database_url().replace("+psycopg", "")

    @property
    def owner_url(self) -> str:
        """The database as the role that owns the tables, for psycopg."""
        return kept_settings.remembered(self.carina.home)[OWNER_URL].replace("+psycopg", "")

    @property
    def broker_url(self) -> str:
        """The broker, with its password."""
        if self.rabbit is not None:
            return self.rabbit.url
        return kept_settings.remembered(self.carina.home)[BROKER_URL]

    @property
    def broker(self) -> str:
        """Which broker it is."""
        return VALKEY if self.rabbit is None else RABBITMQ

    @property
    def spool(self) -> Path:
        """Where received instances lie."""
        return self.carina.home / "spool"

    @property
    def results(self) -> Path:
        """Where encoded results lie."""
        return self.carina.home / "results"

    def pid(self, name: str) -> int | None:
        """Return the process of a part by its name, ``-child`` for what it forked."""
        name, _, child = name.partition("-child")
        if name in self.extras:
            return self.extras[name].pid
        state = runstate.read(self.carina.home)
        if state is None:
            return None
        if name == "supervisor":
            return state.supervisor.pid
        processes = {part.name: part.process for part in state.parts}
        found = processes.get(name)
        if found is None or not child:
            return None if found is None else found.pid
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(found.pid).children()
            return children[-1].pid if children else None
        return None

    def heal(self) -> None:
        """Open every line, thaw every process, start what does not start by itself."""
        self.to_archive.to = ("127.0.0.1", self.archive.dicom_port)
        self.to_archive.set(Way.OPEN)
        self.to_listener.set(Way.OPEN)
        if self.cable is not None:
            self.cable.heal()
        if self.rabbit is not None:
            self.rabbit.heal()
        for process in psutil.process_iter(["pid", "status"]):
            if process.info["status"] == psutil.STATUS_STOPPED and self._is_ours(process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
        state = runstate.read(self.carina.home)
        if state is None or not state.is_live:
            self.carina.carina("up", limit_s=300.0)
        self._start_extras()

    def wait_until_healthy(self) -> None:
        """Wait until every part is ready, and has been for long enough to count as steady.

        Raises
        ------
        TimeoutError
            If it is not in time.
        """
        wait_for(self._is_healthy, HEALTHY_S, "every part to be ready")

    def _is_healthy(self) -> bool:
        state = runstate.read(self.carina.home)
        return (
            state is not None
            and state.is_live
            and state.phase is Phase.RUNNING
            and all(part.state is PartState.READY for part in state.parts)
            and all(one.poll() is None for one in self.extras.values())
            and all((self.home / f"{name}.ready").exists() for name in self.extras)
        )

    def _start_extras(self) -> None:
        """Run a second worker and a second deliverer, as on another machine."""
        for name in ("second-work", "second-deliver"):
            running = self.extras.get(name)
            if running is not None and running.poll() is None:
                continue
            ready = self.home / f"{name}.ready"
            ready.unlink(missing_ok=True)
            environment = {
                **self.environment,
                **kept_settings.remembered(self.carina.home),
                "CARINA_HOME": str(self.carina.home),
                READY_FILE: str(ready),
            }
            environment.pop(OWNER_URL, None)
            with (self.home / f"{name}.log").open("ab") as log:
                self.extras[name] = subprocess.Popen(
                    [sys.executable, "-m", "service", name.removeprefix("second-")],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get(sabotage.FOLDER) == str(self.points) or any(
                str(self.carina.home) in word for word in process.cmdline()
            )
        return False

    def stop(self) -> None:
        """Stop everything."""
        with contextlib.suppress(Exception):  # the border: what can be stopped is stopped
            self.heal()
        for extra in self.extras.values():
            extra.send_signal(signal.SIGTERM)
        for extra in self.extras.values():
            try:
                extra.wait(30)
            except subprocess.TimeoutExpired:
                extra.kill()
                extra.wait()
        self.carina.down()
        self.to_archive.stop()
        self.to_listener.stop()


def wait_for(condition: Callable[[], bool], limit_s: float, words: str) -> None:
    """Poll until a condition holds; raises TimeoutError with the words."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:.0f} s for {words}")
        time.sleep(0.1)


@contextlib.contextmanager
def running(
    folder: Path, changes: tuple[str, ...] = (), broker: str = VALKEY
) -> Iterator[Hospital]:
    """Start a whole system in a new folder, with these changes inside beside the usual ones.

    ``broker`` is VALKEY, the embedded one, or RABBITMQ.
    """
    disk.unmount(folder / "carina" / "spool")  # of a run that was killed
    shutil.rmtree(folder, ignore_errors=True)
    points = folder / "points"
    points.mkdir(parents=True)
    port = first_free_port()
    options = orthanc.OrthancOptions(modalities={"carina": PacsNode("CARINA", "127.0.0.1", port)})
    with contextlib.ExitStack() as around:
        archive = around.enter_context(orthanc.running(folder / "orthanc", options))
        spool = around.enter_context(disk.mounted(folder))
        cable = around.enter_context(network.laid())
        rabbit = None
        if broker == RABBITMQ:
            rabbit = around.enter_context(rabbits.running(folder / "rabbit"))
        to_archive = network.line_to(("127.0.0.1", archive.dicom_port), cable)
        variables = _variables(points, changes) | {"CARINA_LISTENER_PORT": str(port)}
        variables |= network.settings(orthanc.AE_TITLE, to_archive, cable)
        if rabbit is not None:
            variables["CARINA_BROKER_URL"] = rabbit.url
        kept = {name: one for name, one in os.environ.items() if not name.startswith("CARINA_")}
        hospital = Hospital(
            home=folder,
            archive=archive,
            to_archive=to_archive,
            to_listener=Switch(("127.0.0.1", port)),
            carina=Installation(folder / "carina", variables),
            environment=kept | variables,
            points=points,
            spool_is_mounted=spool.is_mounted,
            spool_disk=spool.disk,
            cable=cable,
            rabbit=rabbit,
        )
        around.callback(hospital.stop)
        hospital.carina.up()
        hospital.heal()
        hospital.wait_until_healthy()
        yield hospital


def _variables(points: Path, changes: tuple[str, ...]) -> dict[str, str]:
    """Return what every process of the system is told, whatever is around it."""
    return {
        **SETTINGS,
        failpoints.VARIABLE: str(points),
        sabotage.CHANGES: ",".join((*USUAL_CHANGES, *changes)),
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ENTRY))),
    }
