"""The demonstration reads a draft back from a real archive as a stranger would."""

from collections.abc import Iterator

import draft_builders as builders
import pytest

from dicom import codes, film, results
from models import geometry
from models.vocabulary import Observation, Presence
from scripts.demo import archive
from tests import orthanc

pytestmark = pytest.mark.integration

SHEET = builders.Sheet(rows=768, columns=640)  # large enough for its results to hold pictures


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture(scope="module")
def held(pacs: orthanc.Orthanc) -> archive.Held:
    draft = builders.draft_of(SHEET)
    pacs.upload(film.encode(draft.source))
    for result in results.build([draft], builders.CONTEXT):
        pacs.upload(result.content)
    return archive.read(pacs, str(draft.source.StudyInstanceUID))


def test_every_kind_of_object_is_counted_and_the_film_is_not(held: archive.Held) -> None:
    assert set(held.kinds) == {"text SR", "box SR", "SEG", "picture"}
    assert held.kinds.count("text SR") == 1
    assert all(one.startswith("AI DRAFT") for one in held.series_descriptions)


def test_what_rest_shows_is_found_by_query(held: archive.Held) -> None:
    assert held.missing_in_query == ()


def test_sentences_come_in_the_order_of_the_report(held: archive.Held) -> None:
    assert [text for heading, text in held.sentences if heading == "Findings"] == [
        builders.MASS_SENTENCE,
        builders.OPACITY_SENTENCE,
        builders.HEART_SENTENCE,
        builders.EFFUSION_SENTENCE,
    ]


def test_states_are_read_from_their_codes(held: archive.Held) -> None:
    states = {one.observation: one.state for one in held.findings}
    assert states == {
        codes.OBSERVATIONS[Observation.MASS].meaning: codes.PRESENCES[Presence.PRESENT].meaning,
        codes.OBSERVATIONS[Observation.LUNG_OPACITY].meaning: "Uncertain",
        codes.OBSERVATIONS[Observation.ENLARGED_CARDIAC_SILHOUETTE].meaning: "Uncertain",
        codes.OBSERVATIONS[Observation.PLEURAL_EFFUSION].meaning: "Absent",
    }


def test_the_box_lies_where_the_finding_is(held: archive.Held) -> None:
    (box,) = held.boxes
    (truth,) = builders.mass_finding(SHEET).boxes
    assert box.observation == codes.OBSERVATIONS[Observation.MASS].meaning
    assert geometry.overlap(box.box, truth) > 0.99
    assert builders.MASS_SENTENCE in box.comment


def test_a_study_without_a_draft_holds_nothing(pacs: orthanc.Orthanc) -> None:
    other = builders.source_of(SHEET, seed="film-2", study="another")
    pacs.upload(film.encode(other))
    assert not archive.read(pacs, str(other.StudyInstanceUID)).has_draft
