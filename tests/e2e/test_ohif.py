"""A reader's view: the result sets in a real archive, opened in OHIF in a real browser.

Acceptance by an archive proves nothing, and neither do validators: an object can be correct and
never be painted. These tests look at the screen.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import ohif_browser
import orthanc
import pytest
from draft_builders import (
    CONTEXT,
    EFFUSION_SENTENCE,
    MASS_SENTENCE,
    NOT_ASSESSED,
    Sheet,
    draft_of,
    mass_finding,
    source_of,
)

from dicom import film, results, seg
from dicom.values import ResultKind
from models.values import PixelBox
from models.vocabulary import MaskName, Observation
from service import ohif, ohif_package

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not orthanc.is_installed()
        or ohif_browser.chromium() is None
        or shutil.which("node") is None,
        reason="needs orthanc, orthanc-dicomweb, chromium and node",
    ),
]

USUAL = Sheet(rows=900, columns=800)
SHEETS = {
    "usual": USUAL,
    "no-spacing": Sheet(rows=900, columns=800, spacing_mm=None),
    "mirrored": Sheet(rows=900, columns=800, orientation=("R", "F")),
}
LUNG = list(seg.ORGAN_COLOURS[MaskName.RIGHT_LUNG])
MASS = list(seg.FINDING_COLOURS[Observation.MASS])


def path_of(sheet: str) -> str:
    return ohif.study_path(str(source_of(SHEETS[sheet], seed=sheet).StudyInstanceUID))


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve OHIF over an Orthanc that holds a film of each kind with its result set."""
    ohif_browser.install()
    dist = ohif_package.fetch(ohif_browser.CACHE)
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as pacs:
        for number, (name, sheet) in enumerate(SHEETS.items()):
            context = replace(CONTEXT, job_id=UUID(int=number))  # a job belongs to one study
            source = source_of(sheet, seed=name, patient=film.FilmPatient(patient_id=name))
            pacs.upload(film.encode(source))
            for one in results.build([draft_of(sheet, source=source)], context):
                pacs.upload(one.content)
        with ohif.serve(dist, pacs.dicomweb_url, 0) as url:
            yield url


def open_masks(kind: ResultKind, colour: list[int]) -> list[list[Any]]:
    """Open a SEG as a reader does, and wait for its colour on the film."""
    return [["series", f"AI DRAFT {kind.value}"], ["yes"], ["colours", colour, 300]]


def on_screen(sheet: Sheet, box: PixelBox, canvas: list[float]) -> tuple[float, ...]:
    """Return where a box of the film is on the canvas: OHIF fits the film into it, centred."""
    scale = min(canvas[0] / sheet.columns, canvas[1] / sheet.rows)
    left = (canvas[0] - sheet.columns * scale) / 2
    top = (canvas[1] - sheet.rows * scale) / 2
    return (
        left + box.x_min * scale,
        top + box.y_min * scale,
        box.width * scale,
        box.height * scale,
    )


@pytest.mark.parametrize("name", SHEETS)
def test_a_reader_sees_masks_and_boxes_where_they_belong(
    viewer: str, name: str, tmp_path: Path
) -> None:
    sheet = SHEETS[name]
    answers = ohif_browser.drive(
        viewer,
        [
            ["open", path_of(name)],
            ["colours", LUNG],
            ["colours", MASS],
            *open_masks(ResultKind.ANATOMY_SEG, LUNG),
            *open_masks(ResultKind.FINDING_SEG, MASS),
            ["series", "AI DRAFT boxes"],
            ["yes"],
            ["panel", "trackedMeasurements"],
            ["wait", MASS_SENTENCE],
            ["shapes", 1],
            ["shot", f"{name}.png"],
        ],
        tmp_path,
    )
    lung_before, mass_before = answers[1:3]
    lung, mass, drawn = answers[5], answers[8], answers[13]
    assert sum(lung_before) == sum(mass_before) == 0
    # The right lung is on the left of the picture, unless the film lies mirrored.
    side = 1 if sheet.mirrored else 0
    for counted in (lung, mass):
        assert counted[side] > 300
        assert counted[1 - side] < counted[side] / 10
    expected = on_screen(sheet, mass_finding(sheet).boxes[0], drawn["canvas"])
    assert any(near(shape, expected, drawn["canvas"]) for shape in drawn["shapes"]), drawn


def near(shape: list[float], expected: tuple[float, ...], canvas: list[float]) -> bool:
    """Return whether a drawn shape is the expected box, within a hundredth of the canvas."""
    return all(
        abs(have - want) < max(canvas) / 100 for have, want in zip(shape, expected, strict=True)
    )


def test_a_reader_reads_every_sentence_and_that_it_is_a_draft(viewer: str, tmp_path: Path) -> None:
    answers = ohif_browser.drive(
        viewer,
        [
            ["open", path_of("usual")],
            ["text"],
            ["series", "AI DRAFT text"],
            ["wait", MASS_SENTENCE],
            ["text"],
            ["shot", "text.png"],
        ],
        tmp_path,
    )
    listed, page = answers[1], answers[4]
    for kind in ResultKind:
        assert f"AI DRAFT {kind.value} r1, not verified (DEMO)" in listed
    for sentence in (MASS_SENTENCE, EFFUSION_SENTENCE, NOT_ASSESSED, "AI DRAFT, not verified"):
        assert sentence in page
    assert "cardiothoracic ratio 0.51, uncertainty 0.47 to 0.56" in page
    assert "A finding was withheld: side conflict." in page
