"""The validators that are not ours: dciodvfy of dicom3tools, dsrdump of dcmtk."""

import shutil
import subprocess
import sys
from pathlib import Path

OURS = "99CARINA"
"""Every private coding scheme earns a warning; ours is declared in docs/results.md."""


def dciodvfy(part10: bytes, folder: Path) -> list[str]:
    """Return the errors of dciodvfy on one object, and its warnings but those on our codes."""
    file = folder / "object.dcm"
    file.write_bytes(part10)
    binary = Path(sys.executable).parent / "dciodvfy"
    answer = subprocess.run([str(binary), str(file)], capture_output=True, text=True, check=False)
    lines = (answer.stdout + answer.stderr).splitlines()
    return [one for one in lines if one.startswith(("Error", "Warning")) and OURS not in one]


def errors(part10: bytes, folder: Path) -> list[str]:
    """Return only the errors of dciodvfy."""
    return [one for one in dciodvfy(part10, folder) if one.startswith("Error")]


def has_dsrdump() -> bool:
    """Return whether dcmtk is installed."""
    return shutil.which("dsrdump") is not None


def dsrdump(part10: bytes, folder: Path) -> str:
    """Return the content tree of an SR as dcmtk prints it; raise when it refuses the document."""
    file = folder / "report.dcm"
    file.write_bytes(part10)
    answer = subprocess.run(
        ["dsrdump", "+Pl", str(file)], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise AssertionError(answer.stderr)
    return answer.stdout
