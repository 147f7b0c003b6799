"""What a reader sees after a draft was replaced or withdrawn, for each setting of an archive.

The whole way is gone: films are read by the stand-in, results delivered to a real Orthanc, old
objects left, rejected or deleted there, and the study is opened in OHIF in a real browser.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import ohif_browser
import orthanc
import pytest
from ward import Ward, a_film

from dicom import film
from dicom.sr.withdrawn import LINE
from dicom.values import ResultKind
from service import ohif, ohif_package, replay, withdrawing
from service.db.engine import Database
from service.withdrawing import House, Word
from workers.context import WorkerContext
from workers.deliver_step import deliver
from workers.retire_step import retire

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not orthanc.is_installed()
        or ohif_browser.chromium() is None
        or shutil.which("node") is None,
        reason="needs orthanc, orthanc-dicomweb, chromium and node",
    ),
]

REASON = "The film is of another patient."
KINDS = (ResultKind.ANATOMY_SEG, ResultKind.TEXT_SR)
OLD = "AI DRAFT text r1, not verified (DEMO)"
OLD_MASKS = "AI DRAFT anatomy r1, not verified (DEMO)"
NEW = "AI DRAFT text r2, not verified (DEMO)"
NOTICE = "WITHDRAWN AI DRAFT r1, notice r2"
NOTE = "AI DRAFT r1 rejected"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture(scope="module")
def viewer(pacs: orthanc.Orthanc) -> Iterator[str]:
    ohif_browser.install()
    dist = ohif_package.fetch(ohif_browser.CACHE)
    with ohif.serve(dist, pacs.dicomweb_url, 0) as url:
        yield url


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


def a_delivered_study(ward: Ward, pacs: orthanc.Orthanc, seed: str) -> str:
    """Return a study whose film and first draft are in the archive."""
    one = a_film(seed, patient=film.FilmPatient(patient_id=seed))
    pacs.upload(film.encode(one))
    ward.queue(one)
    ward.analyse(results=",".join(KINDS))
    carry(context_of(ward, pacs, "leave"))
    return str(one.StudyInstanceUID)


def context_of(ward: Ward, pacs: orthanc.Orthanc, word: str) -> WorkerContext:
    replaced = f"delete;orthanc={pacs.url}" if word == "delete" else word
    return ward.context(pacs.node, replaced=replaced, results=",".join(KINDS))


def carry(context: WorkerContext) -> None:
    while deliver(context) is not None or retire(context):
        pass


def pages(viewer: str, study: str, series: str, words: str, out: Path) -> tuple[str, str]:
    """Return the page with its list of series, and the page of one of them."""
    steps = [["open", ohif.study_path(study)], ["text"], ["series", series], ["wait", words]]
    answers = ohif_browser.drive(viewer, [*steps, ["text"], ["shot", "page.png"]], out)
    return answers[1], answers[4]


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("leave", {OLD, OLD_MASKS, NEW}),
        ("reject", {OLD, OLD_MASKS, NEW, NOTE}),  # this Orthanc keeps the note and hides nothing
        ("delete", {NEW}),
    ],
)
def test_after_replacing_a_reader_sees_which_draft_is_the_newest(
    viewer: str, ward: Ward, pacs: orthanc.Orthanc, word: str, seen: set[str]
) -> None:
    study = a_delivered_study(ward, pacs, f"replaced-{word}")
    with ward.database.begin() as session:
        replay.replay(session, study, "operator", ward.clock.now)
    ward.analyse(results=",".join(KINDS))
    carry(context_of(ward, pacs, word))
    listed, page = pages(viewer, study, "AI DRAFT text r2", "It replaces", ward.home)
    assert {one for one in (OLD, OLD_MASKS, NEW, NOTE) if one in listed} == seen
    assert "It replaces the earlier revision." in page
    assert "Revision 1, anatomy 1 (Segmentation)" in page


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("leave", {OLD, OLD_MASKS, NOTICE}),
        ("reject", {OLD, OLD_MASKS, NOTICE, NOTE}),
        ("delete", {NOTICE}),
    ],
)
def test_after_withdrawing_a_reader_reads_that_the_draft_must_not_be_used(
    viewer: str, ward: Ward, pacs: orthanc.Orthanc, word: str, seen: set[str]
) -> None:
    study = a_delivered_study(ward, pacs, f"withdrawn-{word}")
    settings = ward.context().settings
    house = House(settings.spool, settings.kept_results, ("pacs",), "0.0.test")
    with ward.database.begin() as session:
        withdrawing.withdraw(session, Word(study, REASON, "dr.example"), house, ward.clock.now)
    carry(context_of(ward, pacs, word))
    listed, page = pages(viewer, study, "WITHDRAWN AI DRAFT", LINE, ward.home)
    assert {one for one in (OLD, OLD_MASKS, NOTICE, NOTE) if one in listed} == seen
    assert f"Reason: {REASON}" in page
    assert "Revision 1, anatomy 1 (Segmentation)" in page
