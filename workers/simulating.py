"""The command ``simulate``: films with their truth, as pictures and as DICOM.

Heavy libraries are imported inside the command: the command line starts without them.
"""

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from dicom import dx, film
from service import terminal
from service.settings import load

if TYPE_CHECKING:
    from models.simulate.generate import Order
    from models.simulate.studio import Studio, Taken

FAILED = 1
WIDE = 65535  # full scale of 16 bits; the header says 12


class Photometric(StrEnum):
    """Photometric Interpretation (0028,0004) of the DICOM files."""

    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"
    BOTH = "both"


def simulate(  # noqa: PLR0913 - the options of a command line
    *,
    out: Annotated[Path, typer.Option(help="Folder for films, masks and truth")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many films")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same films")] = 0,
    kind: Annotated[str, typer.Option(help="mixed, normal, effusion, tubes, lateral …")] = "mixed",
    size: Annotated[int, typer.Option(min=256, max=4096, help="Detector's side, px")] = 640,
    as_dicom: Annotated[bool, typer.Option("--dicom", help="Also as DX files")] = False,
    photometric: Annotated[
        Photometric, typer.Option(help="Of the DX files")
    ] = Photometric.MONOCHROME2,
    masks: Annotated[bool, typer.Option(help="Write masks of regions and signs")] = True,
) -> None:
    """Make simulated radiographs with their truth; the CT they come from is downloaded once."""
    from models.simulate import needs  # noqa: PLC0415

    needs.check()
    from models.simulate import generate  # noqa: PLC0415
    from models.simulate.studio import Studio  # noqa: PLC0415
    from models.simulate.wishes import Kind  # noqa: PLC0415

    if kind not in set(Kind):
        terminal.fault(f"no kind {kind!r}; there are: {', '.join(Kind)}")
        sys.exit(FAILED)
    order = generate.Order(n, seed, Kind(kind), size, masks)
    terminal.note("preparing the patient: about a minute")
    studio = Studio.of_ct(load().home / "simulate-cache")
    write(studio, order, out, photometric if as_dicom else None)


def write(
    studio: "Studio", order: "Order", out: Path, photometric: Photometric | None = None
) -> None:
    """Write the films of an order, with DX files where a photometric is named; tells the pace."""
    from models.simulate import generate  # noqa: PLC0415

    started = time.monotonic()
    for done, (picture, taken) in enumerate(generate.simulate(studio, order, out), start=1):
        if photometric is not None:
            _write_dicom(taken, picture, order.seed, photometric)
        pace = done / max(time.monotonic() - started, 1e-6)
        terminal.note(f"{done}/{order.n} {picture.name}, {pace:.2f} films/s")
    terminal.say(f"wrote {order.n} films with their truth to {out}")


def _write_dicom(taken: "Taken", picture: Path, seed: int, photometric: Photometric) -> None:
    """Write a film as DX; with both photometrics the second file says so in its name."""
    from models.simulate import generate  # noqa: PLC0415

    pixels = np.round(taken.pixels * WIDE).astype(np.uint16)
    wanted = [photometric]
    if photometric is Photometric.BOTH:
        wanted = [Photometric.MONOCHROME2, Photometric.MONOCHROME1]
    for number, one in enumerate(wanted):
        told = dx.SimulatedFilm(
            name=f"simulated/{seed}/{picture.stem}/{one.value}",
            view_position=generate.view_position(taken),
            detector_pixel_mm=taken.detector_mm,
            source_to_patient_mm=taken.stance.source_mm,
            photometric_interpretation=one.value,
        )
        stem = picture.stem if number == 0 else f"{picture.stem}.{one.value.lower()}"
        target = picture.with_name(f"{stem}.dcm")
        target.write_bytes(film.encode(dx.build(pixels, told)))
