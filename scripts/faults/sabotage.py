"""What the campaign changes inside Carina's processes, without a switch in the product.

``CARINA_FAULTS`` names the changes, joined by commas. Three serve the campaign itself:

* ``stand-in``: the network is a stand-in that sees one planted opacity; films named in a file
  crash or hang its process;
* ``clock``: the clock of our processes is ahead by the seconds in a file;
* ``hurry``: a part counts as steady after 2 s instead of 60, and a bell that nobody heard is rung
  again after 6 s instead of 30. Nothing else is shortened but by settings.

The others are the negative controls: with each of them the campaign must fail.
"""

import importlib.abc
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

CHANGES = "CARINA_FAULTS"
FOLDER = "CARINA_FAILPOINTS"
CRASHES, HANGS, CLOCK = "crashes", "hangs", "clock"
LATER_S = 1.0

Patch = Callable[[ModuleType], None]


def _folder() -> Path:
    return Path(os.environ[FOLDER])


def _stand_in(nets: ModuleType) -> None:
    from models.fakes import FakeEye, Planted  # noqa: PLC0415
    from models.vocabulary import Observation  # noqa: PLC0415

    class StandIn(FakeEye):
        """Sees what it is told, and fails on the films that a file names."""

        def look(self, images: "Sequence[Any]") -> "tuple[Any, ...]":
            uids = {str(image.image_id) for image in images}
            if uids & _marked(CRASHES):
                os._exit(1)
            if uids & _marked(HANGS):
                threading.Event().wait()
            return FakeEye.look(self, images)

    planted = (Planted(Observation.LUNG_OPACITY),)
    nets.__dict__["load"] = lambda _settings: StandIn(planted=planted)


def _marked(name: str) -> set[str]:
    try:
        return set((_folder() / name).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return set()


class Shifted(datetime):
    """A clock that is wrong by the seconds in a file."""

    @classmethod
    def now(cls, tz: "tzinfo | None" = None) -> "Shifted":
        """Return the wrong time."""
        try:
            ahead = float((_folder() / CLOCK).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            ahead = 0.0
        shifted = datetime.now(tz) + timedelta(seconds=ahead)
        return cls.fromtimestamp(shifted.timestamp(), tz or UTC)


def _wrong_clock(module: ModuleType) -> None:
    module.__dict__["datetime"] = Shifted


def _steady_soon(slot: ModuleType) -> None:
    slot.__dict__["STEADY_S"] = 2.0


def _ring_soon(ringing: ModuleType) -> None:
    ringing.__dict__["AGAIN_AFTER"] = timedelta(seconds=6)


def _reply_first(listener: ModuleType) -> None:
    real = listener.__dict__["_accept"]

    def late(*arguments: object) -> None:
        time.sleep(LATER_S)
        real(*arguments)

    def accept(*arguments: object) -> None:
        threading.Thread(target=late, args=arguments, daemon=True).start()

    listener.__dict__["_accept"] = accept


def _job_without_fence(lifecycle: ModuleType) -> None:
    def fenced(session: Any, fence: Any) -> Any:  # noqa: ANN401
        return session.get(lifecycle.JobRow, fence.job_id, with_for_update=True)

    lifecycle.__dict__["fenced"] = fenced


def _no_fsync(_module: ModuleType) -> None:
    for name in ("fsync", "fdatasync"):
        os.__dict__[name] = lambda _descriptor: None


PATCHES: dict[str, dict[str, Patch]] = {
    "stand-in": {"workers.nets": _stand_in},
    "clock": dict.fromkeys(("service.sweep", "workers.context", "dicom.receive"), _wrong_clock),
    "hurry": {"service.slot": _steady_soon, "service.ringing": _ring_soon},
    "no-fsync": {"dicom.spool": _no_fsync, "workers.files": _no_fsync},
    "reply-first": {"service.listener": _reply_first},
    "no-fence": {"service.lifecycle": _job_without_fence},
}


@dataclass
class _Changed(importlib.abc.Loader):
    """Loads a module as it is, and changes it at once."""

    real: importlib.abc.Loader
    patches: tuple[Patch, ...]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.real.exec_module(module)
        for patch in self.patches:
            patch(module)


@dataclass
class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules to be changed, before anybody else does."""

    patches: dict[str, tuple[Patch, ...]]

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: ModuleType | None = None
    ) -> ModuleSpec | None:
        patches = self.patches.get(name)
        if patches is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Changed(spec.loader, patches)
                return spec
        return None


def install() -> None:
    """Change what the environment asks for; called before anything of Carina is imported."""
    wanted = [name for name in os.environ.get(CHANGES, "").split(",") if name]
    patches: dict[str, tuple[Patch, ...]] = {}
    for change in wanted:
        for module, patch in PATCHES[change].items():
            patches[module] = (*patches.get(module, ()), patch)
    if patches:
        sys.meta_path.insert(0, _Finder(patches))
