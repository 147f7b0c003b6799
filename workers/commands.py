"""The commands that need networks: ``work``, ``deliver``, ``look``, ``models …``.

Heavy libraries are imported inside each command: a list of bundles needs none of them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom.errors import DicomError
from models import bundles
from models.errors import BundleError, ModelError
from service import logs, settings_unknown, terminal, tracing
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.values import Analysis, ChestImage, OutOfScope
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
    out: Annotated[
        Path | None, typer.Option(help="Write the picture with findings and signs")
    ] = None,
    regions: Annotated[
        Path | None, typer.Option(help="Write the picture with all 36 regions")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line")] = False,
    masks: Annotated[
        bool, typer.Option(help="With --json: the regions' masks, as run lengths")
    ] = False,
) -> None:
    """Read images here and now, without any service; the words are a draft, not a report.

    Below the draft stand the signs, which no draft states: their limits are of simulated films.
    """
    _refuse_unless(as_json or not masks, "--masks goes with --json")
    failed = False
    for path, seen in _look_at(images, load()):
        fault = seen
        if not isinstance(seen, str):
            try:
                if as_json:
                    terminal.as_json_line(_as_json(path, seen.result, masks=masks))
                else:
                    _tell(path, seen.result)
                written = _write(seen, (out, regions), f"-{path.stem}" if len(images) > 1 else "")
                for target in () if as_json else written:  # JSON's output holds nothing but objects
                    terminal.say(f"  wrote {target}")
                continue
            except ModelError as error:  # masks of regions take a second look
                fault = f"{type(error).__name__}: {error}"
        failed = True
        terminal.fault(f"{path}: {fault}")
        if as_json:
            terminal.as_json_line({"image": str(path), "error": fault})
    if failed:
        sys.exit(FAILED)


def _refuse_unless(good: bool, why: str) -> None:  # noqa: FBT001 - a plain condition
    if not good:
        raise typer.BadParameter(why)


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


def _serve(process: str, queue: str) -> None:
    from workers import app  # noqa: PLC0415

    settings = load()
    logs.configure(settings, process)
    tracing.configure(settings, process)
    settings_unknown.warn()
    sys.exit(app.run(settings, process, queue))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A film, and what was made of it."""

    image: "ChestImage"
    result: "Analysis | OutOfScope"


def _look_at(
    images: "Sequence[Path]", settings: "Settings"
) -> "Iterator[tuple[Path, _Seen | str]]":
    """Yield what is seen on each image, or in words why it cannot be read, one after the other."""
    from models import pipeline  # noqa: PLC0415
    from workers import image_files, nets  # noqa: PLC0415

    eye = nets.load(settings)
    for path in images:
        try:
            image = image_files.read(path)
            yield path, _Seen(image, pipeline.analyse(image, eye))
        except (DicomError, ModelError) as error:
            yield path, f"{type(error).__name__}: {error}"
        except OSError as error:
            yield path, str(error.strerror or type(error).__name__)


def _as_json(path: Path, result: "Analysis | OutOfScope", *, masks: bool) -> "dict[str, Any]":
    """Return the object of one image, which is called what it was called on the command line."""
    from models import summary  # noqa: PLC0415

    told = summary.to_json(result, masks=masks)
    return {**told, "image": str(path), "image_id": told["image"]}


def _tell(path: Path, result: "Analysis | OutOfScope") -> None:
    from models.report import signs  # noqa: PLC0415
    from models.values import OutOfScope  # noqa: PLC0415

    terminal.say(f"{path}: AI DRAFT, not verified")
    if isinstance(result, OutOfScope):
        terminal.say(f"  not read: {result.words}")
        return
    report = result.report
    partial = () if result.partial_reason is None else (result.partial_reason,)
    for title, lines in (
        ("Findings", [sentence.text for sentence in report.findings]),
        ("Impression", [sentence.text for sentence in report.impression]),
        ("Withheld", [held.line for held in result.withheld]),
        ("Limits", [*partial, report.not_assessed, *report.limits]),
    ):
        if lines:
            terminal.say(f"  {title}:")
        for line in lines:
            terminal.say(f"    {line}")
    for words in signs.words(result.image, result.sight):
        terminal.say(f"  {words}")


def _write(seen: _Seen, targets: tuple[Path | None, Path | None], suffix: str) -> list[Path]:
    """Write the picture of the findings and that of the regions, where a target is given."""
    written = []
    for draw, target in zip((_draw, _draw_regions), targets, strict=True):
        if target is not None:
            written.append(target.with_stem(target.stem + suffix))
            draw(seen, written[-1])
    return written


def _draw(seen: _Seen, target: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    from models import pictures  # noqa: PLC0415
    from models.values import OutOfScope  # noqa: PLC0415

    if isinstance(seen.result, OutOfScope):
        drawn = pictures.refused(seen.image, seen.result, OVERLAY_PX)
    else:
        drawn = pictures.overlay(seen.result, OVERLAY_PX, signs=True)
    Image.fromarray(drawn).save(target)


def _draw_regions(seen: _Seen, target: Path) -> None:
    """Draw the regions of a film, of one that is not read too: they tell why."""
    from PIL import Image  # noqa: PLC0415

    from models import pictures  # noqa: PLC0415
    from models.masks.regions import to_draw  # noqa: PLC0415

    sight = seen.result.sight
    regions, masks = (sight.regions, to_draw(sight)) if sight is not None else ((), None)
    remarks = pictures.region_remarks(seen.result)
    drawn = pictures.regions_overlay(seen.image, regions, OVERLAY_PX, masks=masks, remarks=remarks)
    Image.fromarray(drawn).save(target)


def _bundle_folders(settings: "Settings") -> tuple[Path, ...]:
    return bundles.available([settings.bundles] if settings.bundles is not None else [])


def _self_test(settings: "Settings") -> None:
    """Load the network in use and show it a picture of noise: it must answer, whatever it says."""
    import numpy as np  # noqa: PLC0415

    from models.values import ChestImage  # noqa: PLC0415
    from workers import nets  # noqa: PLC0415

    noise = np.random.default_rng(0).random((512, 448), np.float32)
    nets.load(settings).look([ChestImage("self-test", noise)])
