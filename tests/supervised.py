"""A supervisor over small stand-ins for Carina's processes: ``python supervised.py HOME [fault]``.

``listen`` just runs. ``work`` has a child, as a Celery worker has; with the fault ``stubborn`` the
child does not end when asked. With the fault ``never-ready`` a third part ends at once.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from service import runstate
from service.parts import CarinaProcess
from service.processes import Program
from service.supervisor import Plan, Supervisor

RUNS = """
import os, signal, sys, time
from pathlib import Path
def leave(*_):
    with (Path(sys.argv[1]) / "stopped").open("a") as file:
        file.write(sys.argv[2] + "\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
if sys.argv[2] == "work" and os.fork() == 0:
    stubborn = "stubborn" in sys.argv  # as a hung network is
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else signal.SIG_DFL)
    time.sleep(600)
Path(os.environ["CARINA_READY_FILE"]).write_text("ready")
time.sleep(600)
"""
FAILS = "import sys; sys.exit('port 104 is in use')"


class StandIn(CarinaProcess):
    """Runs a script of ours in place of ``carina <name>``."""

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return how to start it."""
        made = super().program(environment)
        home = str(self.ready_file.parent.parent)
        script = FAILS if self.name == "broken" else RUNS
        argv = (sys.executable, "-c", script, home, self.name, *sys.argv[2:])
        return Program(argv=argv, log=made.log, environment=made.environment)


def part(home: Path, name: str) -> StandIn:
    """Return one stand-in."""
    ready = runstate.run_folder(home) / f"{name}.ready"
    log = home / "logs" / f"{name}.log"
    return StandIn(name, (name,), {}, log, ready, grace_s=5.0)


def nothing() -> None:
    """Set nothing up."""


def main() -> None:
    """Supervise until told to stop."""
    home = Path(sys.argv[1])
    (home / "logs").mkdir(exist_ok=True)
    names = ["listen", "work", *(["broken"] if "never-ready" in sys.argv else [])]
    with runstate.sole(home) as mine:
        if not mine:
            sys.exit("somebody else supervises")
        plan = Plan(
            home=home,
            installation_id=f"test-{home.name}",
            servers=(),
            processes=tuple(part(home, name) for name in names),
            set_up=nothing,
        )
        Supervisor(plan).run()


if __name__ == "__main__":
    main()
