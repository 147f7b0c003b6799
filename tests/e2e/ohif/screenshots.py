"""Make the pictures of the README: real drafts of two films, as a reader sees them in OHIF.

``PYTHONPATH=.:tests python tests/e2e/ohif/screenshots.py``: reads the real chest of pydicom-data
and the example film with a finding with the shipped network (or the films that are named as
``KEY=FILE``), puts films and result sets into an
Orthanc, opens them in a browser and writes ``docs/img/ohif-*.png``. Nothing in them is drawn by
hand; run it again whenever the shipped network changes.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid5

import ohif_browser
import orthanc
from draft_builders import CONTEXT, JOB
from PIL import Image
from pydicom import dcmread

from dicom import pixels, results
from dicom.drafts import FilmDraft
from dicom.values import ResultInstance, ResultKind
from models import bundles, pipeline
from models.anatomy.eye import OnnxEye
from models.values import Analysis
from scripts.demo import films
from service import ohif, ohif_package

IMAGES = Path(__file__).parents[3] / "docs" / "img"
WIDTH_PX = 1200
COLOURS = 256
SHOWN = {"chest", "finding"}


def draft_of(path: Path, eye: OnnxEye) -> FilmDraft:
    """Return what the shipped network makes of a film."""
    found = pipeline.analyse(pixels.read(path), eye)
    if not isinstance(found, Analysis):
        raise SystemExit(f"{path.name} was not read: {found.words}")
    source = dcmread(path, stop_before_pixels=True)
    return FilmDraft(source, str(source.file_meta.TransferSyntaxUID), found)


def result_set(draft: FilmDraft, eye: OnnxEye) -> tuple[ResultInstance, ...]:
    """Return the result set of one film, as a job of its own."""
    context = replace(
        CONTEXT,
        job_id=uuid5(JOB, draft.sop_instance_uid),
        produced_at=datetime.now(UTC),
        banner=eye.limits[:1],
    )
    return results.build([draft], context)


def actions(key: str, study: str, kinds: set[ResultKind]) -> Iterator[list[Any]]:
    """Yield what a reader does to see everything of one study."""
    yield ["open", ohif.study_path(study)]
    for kind in (ResultKind.ANATOMY_SEG, ResultKind.FINDING_SEG):
        if kind in kinds:
            yield from (["series", f"AI DRAFT {kind.value}"], ["yes"], ["settle"])
    if ResultKind.BOX_SR in kinds:
        yield from (["series", "AI DRAFT boxes"], ["yes"], ["panel", "trackedMeasurements"])
        yield ["shapes", 1]
    yield from (["settle"], ["shot", f"ohif-{key}.png"])
    yield from (["series", "AI DRAFT text"], ["wait", "AI DRAFT, not verified: what this is"])
    yield from (["settle"], ["shot", f"ohif-{key}-text.png"])
    yield from (["series", "AI DRAFT pictures"], ["settle"], ["shot", f"ohif-{key}-pictures.png"])


def publish(folder: Path) -> None:
    """Write the screenshots small enough for a README."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.glob("ohif-*.png")):
        shot = Image.open(file).convert("RGB")
        height = round(shot.height * WIDTH_PX / shot.width)
        small = shot.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            IMAGES / file.name, optimize=True
        )
        sys.stdout.write(f"{file.name}: {(IMAGES / file.name).stat().st_size} bytes\n")


def wanted(folder: Path, named: list[str]) -> dict[str, Path]:
    """Return the films to show by key: those named ``KEY=FILE``, or the demonstration's."""
    if named:
        pairs = (one.partition("=") for one in named)
        return {key: Path(file) for key, _, file in pairs}
    made = films.make(folder / "films", "screenshots")
    return {one.key: one.path for one in made if one.key in SHOWN}


def main(named: list[str]) -> None:
    """Make all of it in a folder that goes away."""
    ohif_browser.install()
    eye = OnnxEye(bundles.find())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pacs = stack.enter_context(orthanc.running(folder / "orthanc"))
        dist = ohif_package.fetch(ohif_browser.CACHE)
        url = stack.enter_context(ohif.serve(dist, pacs.dicomweb_url, 0))
        for key, path in wanted(folder, named).items():
            draft = draft_of(path, eye)
            built = result_set(draft, eye)
            for content in (path.read_bytes(), *(one.content for one in built)):
                pacs.upload(content)
            study = str(draft.source.StudyInstanceUID)
            steps = list(actions(key, study, {one.kind for one in built}))
            ohif_browser.drive(url, steps, folder)
        publish(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
