"""Runs every part of an installation on one machine, and starts again what dies.

The supervisor is the only one that starts or stops anything in its folder: it holds a lock for as
long as it lives. It has one thread, since every child is tied to the thread that started it
(:func:`service.processes.spawn`). When it is killed, the kernel tells its children to end; the
next supervisor waits for them, so nothing runs twice.
"""

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from service.errors import StartFailed
from service.parts import MARK, PART, CarinaProcess, Part
from service.processes import identify, spawn
from service.rotation import rotate
from service.runstate import PartState, Phase, RunState, write
from service.slot import Slot

TICK_S = 0.1
ROTATE_EVERY_S = 30.0
UPGRADE_LIMIT_S = 600.0
STEPS_TO_STOP = (("listen",), ("work", "deliver", "sweep"), ("web",), ("valkey",), ("postgres",))
"""Nothing new comes in; what is at hand is finished; then the servers, the truth last."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, in the order of starting.

    ``set_up`` is called when the ``servers`` answer (roles); ``upgrade`` brings the tables to this
    version, None when somebody else does that; then come the ``processes``.
    """

    home: Path
    installation_id: str
    servers: tuple[Part, ...]
    processes: tuple[Part, ...]
    set_up: Callable[[], None]
    upgrade: CarinaProcess | None = None
    addresses: tuple[tuple[str, str], ...] = field(default=())


class Supervisor:
    """One run of one installation; the caller holds its lock."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._slots = [
            Slot(part, plan.installation_id) for part in (*plan.servers, *plan.processes)
        ]
        self._stop_asked = False
        identity = identify(os.getpid())
        assert identity is not None
        self._state = RunState(
            installation_id=plan.installation_id,
            supervisor=identity,
            started_at=_now(),
            phase=Phase.STARTING,
            addresses=plan.addresses,
        )

    def run(self) -> None:
        """Start everything, keep it running until SIGTERM or SIGINT, stop everything.

        Raises
        ------
        StartFailed
            If a part does not start; everything is stopped again then.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        self._publish(Phase.STARTING)
        try:
            self._start_all()
            if not self._stop_asked:
                self._publish(Phase.RUNNING)
                log.info("supervisor_ready", addresses=dict(self._plan.addresses))
            self._keep_running()
        except BaseException as error:
            self._stop_all(Phase.FAILED, str(error))
            raise
        self._stop_all(Phase.STOPPED, "")

    def _ask_to_stop(self, *_: object) -> None:
        self._stop_asked = True

    def _start_all(self) -> None:
        servers = self._slots[: len(self._plan.servers)]
        processes = self._slots[len(servers) :]
        for slot in servers:
            self._start(slot)
        self._wait_for(servers)
        if self._stop_asked:
            return
        self._plan.set_up()
        self._upgrade()
        for slot in processes:
            self._start(slot)
        self._wait_for(processes)

    def _start(self, slot: Slot) -> None:
        slot.start(_now())
        self._publish(self._state.phase)

    def _wait_for(self, slots: list[Slot]) -> None:
        while not self._stop_asked and any(
            slot.status.state is not PartState.READY for slot in slots
        ):
            for slot in slots:
                if slot.look(_now()):
                    self._publish(self._state.phase)
                if slot.status.state is PartState.BACKING_OFF:
                    raise StartFailed(_did_not_start(slot))
            time.sleep(TICK_S)

    def _upgrade(self) -> None:
        upgrade = self._plan.upgrade
        if upgrade is None:
            return
        marks = {MARK: self._plan.installation_id, PART: upgrade.name}
        child = spawn(upgrade.program(marks))
        if child.wait(UPGRADE_LIMIT_S) != 0:
            raise StartFailed(f"the tables could not be upgraded:\n{upgrade.explain()}")

    def _keep_running(self) -> None:
        rotated = time.monotonic()
        while not self._stop_asked:
            changed = [slot for slot in self._slots if self._look(slot)]
            if changed:
                self._publish(Phase.RUNNING)
            if time.monotonic() - rotated > ROTATE_EVERY_S:
                rotate(self._plan.home / "logs")
                rotated = time.monotonic()
            time.sleep(TICK_S)

    @staticmethod
    def _look(slot: Slot) -> bool:
        if not slot.look(_now()):
            return False
        log.warning(
            "part_changed",
            part=slot.status.name,
            state=slot.status.state,
            restarts=slot.status.restarts,
            fault=slot.status.fault,
        )
        return True

    def _stop_all(self, phase: Phase, fault: str) -> None:
        self._publish(Phase.STOPPING)
        for step in STEPS_TO_STOP:
            slots = [slot for slot in self._slots if slot.status.name in step]
            for slot in slots:
                slot.ask_to_end()
            for slot in slots:
                slot.stop(_now())
                self._publish(Phase.STOPPING)
        self._publish(phase, fault)
        log.info("supervisor_stopped", phase=phase)

    def _publish(self, phase: Phase, fault: str = "") -> None:
        parts = tuple(slot.status for slot in self._slots)
        self._state = dataclasses.replace(self._state, phase=phase, parts=parts, fault=fault)
        write(self._plan.home, self._state)


def _did_not_start(slot: Slot) -> str:
    said = slot.part.explain()
    return f"{slot.status.name} did not start: {slot.status.fault}" + (f"\n{said}" if said else "")


def _now() -> datetime:
    return datetime.now(UTC)
