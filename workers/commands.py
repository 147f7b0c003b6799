"""The commands that need networks: ``work``, ``deliver``, ``look``, ``models …``, ``simulate``.

Heavy libraries are imported inside each command: a list of bundles needs none of them.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom.errors import DicomError
from models import bundles
from models.errors import BundleError, ModelError
from service import logs, terminal
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.values import Analysis, OutOfScope
    from service.settings import Settings

FAILED = 1
OVERLAY_PX = 1200


def work() -> None:
    """Run a worker with the networks until SIGTERM: it finishes the films it is at."""
    from service.celery_settings import GPU  # noqa: PLC0415

    _serve("work", GPU)


def deliver() -> None:
    """Run a deliverer to the PACS until SIGTERM: it finishes the study it is at."""
    from service.celery_settings import PACS  # noqa: PLC0415

    _serve("deliver", PACS)


def look(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="DICOM, PNG or JPEG")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the picture with the findings")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line")] = False,
) -> None:
    """Read images here and now, without any service; the words are a draft, not a report."""
    from models import summary  # noqa: PLC0415

    settings = load()
    failed = False
    for path, result in zip(images, _look_at(images, settings), strict=True):
        if isinstance(result, str):
            failed = True
            terminal.fault(f"{path}: {result}")
            continue
        if as_json:
            terminal.as_json_line({"file": str(path), **summary.to_json(result)})
        else:
            _tell(path, result)
        if out is not None:
            target = out if len(images) == 1 else out.with_stem(f"{out.stem}-{path.stem}")
            drawn = _draw(result, target)
            if not as_json:  # its output holds nothing but objects
                terminal.say(drawn)
    if failed:
        sys.exit(FAILED)


def models_list() -> None:
    """List the bundles that are there, shipped and of the site, and which one is in use."""
    settings = load()
    rows = []
    for folder in _bundle_folders(settings):
        try:
            bundle = bundles.load(folder)
        except BundleError as error:
            rows.append((folder.name, "", "", "", f"{type(error).__name__}: {error}"))
            continue
        in_use = "in use" if bundle.name == settings.anatomy_bundle else ""
        rows.append((bundle.name, bundle.version, bundle.role, bundle.use.value, in_use))
    terminal.table(("name", "version", "role", "use", ""), rows)


def models_verify() -> None:
    """Check every hash, load the network in use strictly, and let it look at a test picture."""
    settings = load()
    faults = 0
    for folder in _bundle_folders(settings):
        try:
            bundle = bundles.load(folder)
            terminal.say(f"{bundle.name} {bundle.version}: {len(bundle.files)} files as declared")
        except BundleError as error:
            faults += 1
            terminal.fault(f"{folder}: {type(error).__name__}: {error}")
    try:
        _self_test(settings)
        terminal.say(f"{settings.anatomy_bundle}: loads and looks")
    except ModelError as error:
        faults += 1
        terminal.fault(f"{settings.anatomy_bundle}: {type(error).__name__}: {error}")
    if faults:
        sys.exit(FAILED)


def simulate(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the films and truth.json")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many films")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed makes the same films")] = 0,
    side: Annotated[int, typer.Option(min=256, max=4096, help="Longer side of a film, px")] = 640,
    as_dicom: Annotated[bool, typer.Option("--dicom", help="Also as DICOM files")] = False,
) -> None:
    """Make simulated radiographs with their truth; the CT they come from is downloaded once."""
    from models.simulate import generate  # noqa: PLC0415

    cache = load().home / "simulate-cache"
    names = generate.simulate(n, seed, out, cache, side=side)
    if as_dicom:
        truths = json.loads((out / "truth.json").read_text(encoding="utf-8"))
        for name in names:
            _as_dicom(out / name, seed, str(truths[name].get("view", "")))
    terminal.say(f"wrote {len(names)} films and truth.json to {out}")


def _serve(process: str, queue: str) -> None:
    from workers import app  # noqa: PLC0415

    settings = load()
    logs.configure(settings, process)
    sys.exit(app.run(settings, process, queue))


def _look_at(
    images: "Sequence[Path]", settings: "Settings"
) -> "Sequence[Analysis | OutOfScope | str]":
    """Return what is seen on each image, or in words why it cannot be read."""
    from models import pipeline  # noqa: PLC0415
    from workers import image_files, nets  # noqa: PLC0415

    eye = nets.load(settings)
    results: list[Analysis | OutOfScope | str] = []
    for path in images:
        try:
            results.append(pipeline.analyse(image_files.read(path), eye))
        except (DicomError, ModelError) as error:
            results.append(f"{type(error).__name__}: {error}")
        except OSError as error:
            results.append(str(error.strerror or type(error).__name__))
    return results


def _tell(path: Path, result: "Analysis | OutOfScope") -> None:
    from models.values import OutOfScope  # noqa: PLC0415

    terminal.say(f"{path}: AI DRAFT, not verified")
    if isinstance(result, OutOfScope):
        terminal.say(f"  not read: {result.words}")
        return
    for sentence in (*result.report.findings, *result.report.impression):
        terminal.say(f"  {sentence.text}")
    for held in result.withheld:
        terminal.say(f"  withheld: {held.line}")
    for words in (result.partial_reason, result.report.not_assessed, *result.report.limits):
        if words:
            terminal.say(f"  {words}")


def _draw(result: "Analysis | OutOfScope", target: Path) -> str:
    from PIL import Image  # noqa: PLC0415

    from models import pictures  # noqa: PLC0415
    from models.values import OutOfScope  # noqa: PLC0415

    if isinstance(result, OutOfScope):
        return f"  no picture: {target} is not written for a film that is not read"
    Image.fromarray(pictures.overlay(result, OVERLAY_PX)).save(target)
    return f"  wrote {target}"


def _bundle_folders(settings: "Settings") -> tuple[Path, ...]:
    return bundles.available([settings.bundles] if settings.bundles is not None else [])


def _self_test(settings: "Settings") -> None:
    """Load the network in use and show it a picture of noise: it must answer, whatever it says."""
    import numpy as np  # noqa: PLC0415

    from models.values import ChestImage  # noqa: PLC0415
    from workers import nets  # noqa: PLC0415

    noise = np.random.default_rng(0).random((512, 448), np.float32)
    nets.load(settings).look([ChestImage("self-test", noise)])


def _as_dicom(picture: Path, seed: int, view: str) -> None:
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from dicom import film  # noqa: PLC0415

    stated = view if view in {"PA", "AP"} else ""  # anything else is left for the image to tell
    description = film.FilmDescription(
        seed=f"simulated/{seed}/{picture.stem}", view_position=stated
    )
    with Image.open(picture) as grey:
        pixels = np.asarray(grey.convert("L"), np.uint8)
    picture.with_suffix(".dcm").write_bytes(film.encode(film.from_pixels(pixels, description)))
