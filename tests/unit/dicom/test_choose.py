from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicom import choose, contexts, film, header
from dicom.choose import ReadingPolicy, WhenUnknown
from dicom.values import FilmHeader, InstanceRef
from models.vocabulary import ViewPosition

POLICY = ReadingPolicy()
STRICT = ReadingPolicy(unknown_age=WhenUnknown.TURN_AWAY, unknown_view=WhenUnknown.TURN_AWAY)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def a_header(instance: str = "1.2.3", **changes: object) -> FilmHeader:
    base = FilmHeader(
        ref=InstanceRef("1.2", "1.2.1", contexts.CR_IMAGE, instance),
        modality="CR",
        is_candidate=True,
        view_position="PA",
        body_part_examined="CHEST",
        image_type=("ORIGINAL", "PRIMARY"),
        presentation_intent_type="",
        patient_orientation=("L", "F"),
        patient_age_years=64.0,
        rows=2000,
        columns=2000,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        acquisition="",
        instance_number=1,
        words="",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def code_of(found: FilmHeader, policy: ReadingPolicy = POLICY) -> str | None:
    reason = choose.verdict(found, policy)
    return None if reason is None else reason.code


@pytest.mark.parametrize("view", ["PA", "AP"])
def test_an_adult_frontal_chest_is_read(view: str) -> None:
    choice = choose.choose([a_header(view_position=view)], POLICY)
    assert choice.rejected == ()
    (chosen,) = choice.films
    assert chosen.view_position is ViewPosition(view)
    assert chosen.remarks == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_candidate": False}, "NOT_A_FILM"),
        ({"presentation_intent_type": "FOR PROCESSING"}, "FOR_PROCESSING"),
        ({"image_type": ("DERIVED", "SECONDARY")}, "SECONDARY"),
        ({"modality": "MG"}, "MODALITY"),
        ({"body_part_examined": "HAND"}, "BODY_PART"),
        ({"body_part_examined": "ABDOMEN"}, "BODY_PART"),
        ({"body_part_examined": "TSPINE"}, "BODY_PART"),
        ({"body_part_examined": "WHOLEBODY"}, "BODY_PART"),
        ({"view_position": "LL"}, "LATERAL"),
        ({"view_position": "RL"}, "LATERAL"),
        ({"view_position": "LATERAL"}, "LATERAL"),
        ({"view_position": "LLD"}, "VIEW"),
        ({"view_position": "RAO"}, "VIEW"),
        ({"patient_orientation": ("A", "F")}, "LATERAL"),
        ({"patient_orientation": ("P", "F")}, "LATERAL"),
        ({"patient_orientation": ("L", "P")}, "VIEW"),
        ({"patient_age_years": 17.9}, "CHILD"),
        ({"patient_age_years": 0.0}, "CHILD"),
        ({"number_of_frames": 12}, "MULTI_FRAME"),
        ({"samples_per_pixel": 3}, "COLOUR"),
        ({"photometric_interpretation": "YBR_FULL_422"}, "COLOUR"),
        ({"rows": 100}, "TOO_SMALL"),
        ({"rows": None}, "TOO_SMALL"),
        ({"rows": 60000, "columns": 60000}, "TOO_LARGE"),
        ({"rows": 500, "columns": 1600}, "STRIP"),
    ],
)
def test_a_header_that_contradicts_is_turned_away(changes: dict[str, object], code: str) -> None:
    assert code_of(a_header(**changes)) == code


@pytest.mark.parametrize(
    "words",
    [
        "XR Hand 2 views",
        "Linkes Knie a.p.",
        "Rechter Fuß in 2 Ebenen",
        "Schädel seitlich",
        "BWS ap",
        "Brustwirbelsäule",
        "Thoracic spine AP",
        "Radiographie de la main droite",
        "Genou gauche face",
        "Rachis lombaire",
        "Rodilla derecha",
        "Tobillo",
        "Abdomen sans préparation",
        "Becken Übersicht",
        "Columna lumbar",
        "Shoulder AP",
    ],
)
def test_words_that_name_another_part_turn_away_in_four_languages(words: str) -> None:
    assert code_of(a_header(words=words, body_part_examined="")) == "BODY_PART"
    assert code_of(a_header(words=words)) == "BODY_PART"


@pytest.mark.parametrize(
    "words",
    [
        "CHEST PA",
        "Thorax p.a. im Stehen",
        "Röntgen-Thorax, liegend",
        "Radiographie du thorax de face en décubitus",
        "Tórax PA",
        "XR chest and abdomen",
        "CHEST PA | CHEST PA AND LATERAL",
        "Thorax in 2 Ebenen",
        "Chest portable, head up 45",
        "Main building, CXR",
    ],
)
def test_words_of_a_frontal_chest_contradict_nothing(words: str) -> None:
    assert code_of(a_header(words=words)) is None
    assert code_of(a_header(words=words, body_part_examined="", view_position="")) is None


@pytest.mark.parametrize(
    "words",
    [
        "Thorax seitlich",
        "Chest lateral",
        "LAT | CHEST PA AND LATERAL",
        "Thorax profil",
        "Tórax perfil",
        "left lateral | chest",
    ],
)
def test_words_of_a_lateral_turn_away_though_the_view_says_otherwise(words: str) -> None:
    assert code_of(a_header(words=words)) == "LATERAL"


@pytest.mark.parametrize(
    "words", ["Chest oblique", "Left lateral decubitus chest", "Thorax schräg"]
)
def test_words_of_other_views_turn_away(words: str) -> None:
    assert code_of(a_header(words=words)) == "VIEW"


def test_a_silent_header_is_read_with_remarks_or_turned_away_by_policy() -> None:
    silent = a_header(
        view_position="", body_part_examined="", patient_age_years=None, patient_orientation=None
    )
    (chosen,) = choose.choose([silent], POLICY).films
    assert chosen.view_position is None
    assert chosen.remarks == (
        "view not stated in the header",
        "age not stated in the header",
        "body part not stated in the header",
    )
    assert code_of(silent, STRICT) == "UNKNOWN_VIEW"
    assert code_of(replace(silent, view_position="PA"), STRICT) == "UNKNOWN_AGE"


def test_every_frontal_acquisition_is_read() -> None:
    first = a_header("1.1", acquisition="time 20260101T101500 number 1")
    second = a_header("1.2", acquisition="time 20260101T111500 number 1", instance_number=2)
    choice = choose.choose([second, first], POLICY)
    assert [chosen.header for chosen in choice.films] == [first, second]


def test_among_processed_copies_the_plain_one_is_read_and_the_rest_is_named() -> None:
    moment = "event 1.2.3.4"
    plain = a_header("1.1", acquisition=moment, words="Chest PA", instance_number=3)
    enhanced = a_header("1.2", acquisition=moment, words="Chest PA bone suppressed")
    derived = a_header("1.3", acquisition=moment, image_type=("DERIVED", "PRIMARY"))
    choice = choose.choose([enhanced, derived, plain], POLICY)
    (chosen,) = choice.films
    assert chosen.header is plain
    assert chosen.remarks == ("one of 3 processed copies of one exposure was read",)
    assert {(r.sop_instance_uid, r.code) for r in choice.rejected} == {
        ("1.2", "OTHER_COPY"),
        ("1.3", "OTHER_COPY"),
    }


def test_a_copy_that_names_its_source_belongs_to_it() -> None:
    original = a_header("1.1")
    copy = a_header("1.2", image_type=("DERIVED", "PRIMARY"), source_sop_instance_uids=("1.1",))
    choice = choose.choose([copy, original], POLICY)
    assert [chosen.header.ref.sop_instance_uid for chosen in choice.films] == ["1.1"]


def test_two_views_at_one_moment_are_two_exposures() -> None:
    moment = "time 20260101T101500 number "
    films = [
        a_header("1.1", acquisition=moment),
        a_header("1.2", acquisition=moment, view_position="AP"),
    ]
    assert len(choose.choose(films, POLICY).films) == 2


def test_an_empty_study_has_no_films() -> None:
    assert choose.choose([], POLICY) == choose.Choice((), ())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "event 1", "event 2", "time 1"]),
            st.sampled_from(["PA", "AP", "LL", ""]),
            st.sampled_from(["", "Chest", "Chest edge enhanced", "Hand"]),
            st.sampled_from([(), ("1.1",), ("1.3",)]),
        ),
        max_size=6,
    )
)
def test_every_instance_is_either_read_or_has_a_reason(
    drawn: list[tuple[str, str, str, tuple[str, ...]]],
) -> None:
    headers = [
        a_header(
            f"1.{number}",
            acquisition=acquisition,
            view_position=view,
            words=words,
            source_sop_instance_uids=source,
        )
        for number, (acquisition, view, words, source) in enumerate(drawn)
    ]
    choice = choose.choose(headers, POLICY)
    again = choose.choose(headers[::-1], POLICY)
    read = [chosen.header.ref.sop_instance_uid for chosen in choice.films]
    rejected = [reason.sop_instance_uid for reason in choice.rejected]
    assert sorted(read + rejected) == sorted(h.ref.sop_instance_uid for h in headers)
    assert choice.films == again.films
    assert all(reason.words and reason.code for reason in choice.rejected)


def test_the_real_chest_is_read_and_the_real_extremity_is_not(tmp_path: Path) -> None:
    chest = header.read(Path(str(get_testdata_file("RG1_UNCR.dcm")))).film
    leg_path = Path(str(get_testdata_file("RG3_UNCR.dcm")))
    leg = header.read(leg_path).film
    assert choose.verdict(chest, STRICT) is None
    reason = choose.verdict(leg, POLICY)
    assert reason is not None
    assert reason.code == "BODY_PART"
    assert "extremity" in reason.words
    silent = tmp_path / "silent.dcm"
    silent.write_bytes(film.encode(film.fresh_copy(leg_path, seed="silent", overrides=film.SILENT)))
    assert choose.verdict(header.read(silent).film, POLICY) is None
