r"""Messages about patients: merges, names, escapes, character sets, and what is refused."""

from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adt.acknowledge import acknowledgement
from service.adt.message import heading_of, read
from service.corrected import CorrectionKind, PatientNumber
from service.errors import MessageRefused

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEADING = "MSH|^~\\&|RIS|KH|CARINA|KH|20260301120000||{kind}|77|P|2.5"


def a_message(*segments: str, kind: str = "ADT^A40^ADT_A39", charset: str = "") -> str:
    heading = HEADING.format(kind=kind) + (f"||||||{charset}" if charset else "")
    return "\r".join((heading, *segments)) + "\r"


def changes_of(*segments: str, codec: str = "utf-8", **heading: str) -> list[tuple[str, ...]]:
    """Return prior and surviving number with their authorities, and the name, of each change."""
    content = a_message(*segments, **heading).encode(codec)
    return [
        (
            one.prior.patient_id,
            one.prior.issuer,
            one.survivor.number.patient_id,
            one.survivor.number.issuer,
            one.survivor.name or "",
        )
        for one in read(content).changes
    ]


def test_a_merge_names_the_old_number_and_the_new_patient() -> None:
    content = a_message("EVN||2026", "PID|1||B1^^^KH^PI||Doe^Jane||19600102|F", "MRG|A1^^^KH^PI")
    (change,) = read(content.encode()).changes
    assert change.kind is CorrectionKind.MERGE
    assert change.prior == PatientNumber("A1", "KH")
    assert change.survivor.number == PatientNumber("B1", "KH")
    assert (change.survivor.birth_date, change.survivor.sex) == ("19600102", "F")


def test_each_merged_number_belongs_to_the_patient_before_it() -> None:
    found = changes_of("PID|||B1||One", "MRG|A1", "PID|||D1||Two", "PD1|", "MRG|C1")
    assert found == [("A1", "", "B1", "", "One"), ("C1", "", "D1", "", "Two")]


def test_several_merged_numbers_go_to_the_number_of_the_same_authority() -> None:
    found = changes_of("PID|||B1^^^KH~X9^^^LAB||Doe", "MRG|A1^^^KH~X1^^^LAB")
    assert [one[:4] for one in found] == [("A1", "KH", "B1", "KH"), ("X1", "LAB", "X9", "LAB")]


def test_of_an_authority_with_subcomponents_the_first_names_it() -> None:
    (found,) = changes_of("PID|||B1^^^KH&1.2.3&ISO||Doe", "MRG|A1^^^KH&1.2.3&ISO")
    assert found[:4] == ("A1", "KH", "B1", "KH")


@pytest.mark.parametrize("event", ["A18", "A34", "A40", "A47"])
def test_every_kind_of_merge_is_read(event: str) -> None:
    assert changes_of("PID|||B1||Doe", "MRG|A1", kind=f"ADT^{event}")


@pytest.mark.parametrize("kind", ["ADT^A01", "ADT^A08", "ADT^A31^ADT_A05"])
def test_what_does_not_concern_us_changes_nothing(kind: str) -> None:
    assert changes_of("PID|||B1||Doe", kind=kind) == []


def test_demographics_count_where_a_site_wants_them() -> None:
    content = a_message("PID|||B1||Doe^Jane", kind="ADT^A08").encode()
    (change,) = read(content, with_updates=True).changes
    assert change.kind is CorrectionKind.UPDATE
    assert change.prior == change.survivor.number


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Doe^Jane", "Doe^Jane"),
        ("Doe^Jane^M^Jr^Dr^PhD", "Doe^Jane^M^Dr^Jr PhD"),
        ("van der Berg&van der&Berg^Jan", "van der Berg^Jan"),
        ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
         "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("O\\S\\Neil^A\\T\\B", "O Neil^A&B"),
        ("A\\X41\\B^C\\E\\D", "AAB^C D"),
        ("Doe\\.br\\x^J", "Doe x^J"),
        ("Doe=Roe^J", "Doe Roe^J"),
        ('""', ""),
        ("", ""),
    ],
)  # fmt: skip
def test_names_are_written_as_dicom_writes_them(field: str, name: str) -> None:
    ((*_, found),) = changes_of(f"PID|||B1||{field}", "MRG|A1")
    assert found == name


def test_a_silent_field_says_nothing_and_an_empty_one_says_empty() -> None:
    silent = read(a_message("PID|||B1", "MRG|A1").encode()).changes[0].survivor
    empty = read(a_message('PID|||B1||""||""|""', "MRG|A1").encode()).changes[0].survivor
    assert (silent.name, silent.birth_date, silent.sex) == (None, None, None)
    assert (empty.name, empty.birth_date, empty.sex) == ("", "", "")


@pytest.mark.parametrize(("birth", "day"), [("196001021530", "19600102"), ("1960", None)])
def test_a_birth_date_counts_when_it_names_the_day(birth: str, day: str | None) -> None:
    content = a_message(f"PID|||B1||Doe||{birth}", "MRG|A1").encode()
    assert read(content).changes[0].survivor.birth_date == day


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "latin-1"),
        ("8859/15", "iso8859-15"),
        ("", "utf-8"),
        ("", "latin-1"),
    ],
)
def test_names_are_read_in_the_character_set_that_the_message_names(
    charset: str, codec: str
) -> None:
    ((*_, name),) = changes_of("PID|||B1||Müller^Jörg", "MRG|A1", charset=charset, codec=codec)
    assert name == "Müller^Jörg"


def test_a_cyrillic_name_is_read_in_its_part_of_8859() -> None:
    found = changes_of("PID|||B1||Иванов", "MRG|A1", charset="8859/5", codec="iso8859-5")
    assert found[0][4] == "Иванов"


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "AR"),
        (b"hello", "AR"),
        (b"MSH|", "AR"),
        (a_message("PID|||B1", "MRG|A1").replace("|77|", "||").encode(), "AR"),
        (a_message(kind="ORM^O01").encode(), "AR"),
        (a_message("PID|||B1", "MRG|A1", charset="KLINGON").encode(), "AR"),
        (a_message("PID|||B1||Müller", "MRG|A1", charset="8859/1").encode("utf-16"), "AR"),
        (a_message("PID|||B1||Müller", "MRG|A1", charset="ASCII").encode(), "AE"),
        (a_message("PID|||B1||Doe").encode(), "AE"),
        (a_message("MRG|A1").encode(), "AE"),
        (a_message("PID|||", "MRG|A1").encode(), "AE"),
        (a_message("PID|||B1", "MRG|").encode(), "AE"),
        (a_message("PID|||B1^^^KH~B2^^^KH", "MRG|A1^^^KH").encode(), "AE"),
    ],
)
def test_what_cannot_be_read_is_answered_with_an_error(content: bytes, answer: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        read(content)
    assert refusal.value.answer == answer


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(content: bytes) -> None:
    answers = set()
    for message in (content, a_message("PID|||B1", "MRG|A1").encode() + content):
        try:
            read(message)
        except MessageRefused as refusal:
            answers.add(refusal.answer)
    assert answers <= {"AE", "AR"}


def test_an_answer_is_a_message_that_names_what_it_answers() -> None:
    heading = heading_of(a_message("PID|||B1", "MRG|A1").encode())
    answer = hl7.parse(acknowledgement(heading, "AA", "", NOW).decode())
    assert str(answer.segment("MSA")) == "MSA|AA|77"
    assert str(answer.segment("MSH")[9]) == "ACK^A40^ACK"
    assert str(answer.segment("MSH")[5]) == "RIS"


def test_an_answer_to_what_cannot_be_read_is_an_answer_all_the_same() -> None:
    assert b"MSA|AR||this is not" in acknowledgement(None, "AR", "this is not", NOW)


def test_no_value_shows_a_patient() -> None:
    content = a_message("PID|||SECRET1||Secret^Name||19600102|F", "MRG|SECRET2").encode()
    message = read(content)
    assert "secret" not in (repr(message) + repr(message.changes)).casefold()
