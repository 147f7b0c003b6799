from io import BytesIO
from typing import Any

import pytest
from draft_builders import CONTEXT, Sheet, draft_of, source_of
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom import film, inherited, results
from dicom.errors import EncodingFailed

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
CHINESE = "Wang^XiaoDong=王^小东"
RUSSIAN = "Люксембург"


def raw(part10: bytes, keyword: str) -> bytes:
    """Return the bytes of a value as they stand in the file."""
    element: Any = dcmread(BytesIO(part10)).get_item(keyword)
    assert isinstance(element, RawDataElement)
    return bytes(element.value or b"")


def stored(source: Dataset) -> Dataset:
    """Return the film as it is read back from its file."""
    read: Dataset = dcmread(BytesIO(film.encode(source)), stop_before_pixels=True)
    return read


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", JAPANESE),
        (["", "ISO 2022 IR 87"], JAPANESE),
        ("GB18030", CHINESE),
        ("ISO_IR 144", RUSSIAN),
        ("ISO_IR 100", "Müller^Jürgen"),
    ],
)
def test_a_name_in_any_script_reaches_every_object_byte_for_byte(
    character_set: str | list[str], name: str
) -> None:
    sheet = Sheet(rows=360, columns=320)
    source = source_of(sheet)
    source.SpecificCharacterSet = character_set
    source.PatientName = name
    source.PatientComments = name.rsplit("=", maxsplit=1)[-1]
    sent = film.encode(source)
    made = results.build([draft_of(sheet, source=stored(source))], CONTEXT)
    assert len({one.kind for one in made}) == 5
    for one in made:
        assert raw(one.content, "PatientName") == raw(sent, "PatientName")
        assert raw(one.content, "PatientComments") == raw(sent, "PatientComments")
        assert dcmread(BytesIO(one.content)).SpecificCharacterSet == source.SpecificCharacterSet
        assert str(dcmread(BytesIO(one.content)).PatientName) == name


def test_a_film_without_character_set_gets_results_without_one() -> None:
    source = source_of(Sheet())
    del source.SpecificCharacterSet
    for one in results.build([draft_of(source=stored(source))], CONTEXT):
        assert "SpecificCharacterSet" not in dcmread(BytesIO(one.content))


def test_every_identifier_of_patient_and_study_is_kept() -> None:
    source = source_of(Sheet())
    source.IssuerOfPatientID = "HOSPITAL-A"
    source.OtherPatientIDs = ["17", "18"]
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "1.2.3", "ISO"
    source.IssuerOfPatientIDQualifiersSequence = [issuer]
    source.IssuerOfAccessionNumberSequence = [issuer]
    source.StudyID, source.ReferringPhysicianName = "S9", "Ref^Doctor"
    source.PatientWeight = "71.5"
    source.TimezoneOffsetFromUTC = "+0530"
    for one in results.build([draft_of(source=source)], CONTEXT):
        ds = dcmread(BytesIO(one.content))
        for keyword in inherited.COPIED:
            assert ds.get(keyword) == source.get(keyword, ds.get(keyword)), keyword
        assert ds.IssuerOfPatientID == "HOSPITAL-A"
        assert ds.PatientWeight == 71.5
        # Our own times are then in the zone of the film's: 23:05 UTC is 04:35 there, a day later.
        assert (ds.ContentDate, ds.ContentTime) == ("20261122", "043509")


def test_attributes_that_every_object_needs_are_there_when_the_film_lacks_them() -> None:
    source = source_of(Sheet())
    for keyword in inherited.TYPE_2:
        if keyword in source:
            del source[keyword]
    for one in results.build([draft_of(source=source)], CONTEXT):
        ds = dcmread(BytesIO(one.content))
        assert [keyword for keyword in inherited.TYPE_2 if keyword not in ds] == []


def with_raw(keyword: str, vr: str, value: bytes) -> Dataset:
    """Return a film whose value was never decoded, as it comes from a file."""
    source = source_of(Sheet())
    tag = Tag(keyword)
    source[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return source


def test_odd_values_are_passed_on_and_never_stop_a_draft() -> None:
    source = with_raw("StudyTime", "TM", b"25:61:99")
    source[Tag("PatientWeight")] = with_raw("PatientWeight", "DS", b"unknown ").get_item(
        "PatientWeight"
    )
    made = results.build([draft_of(source=source)], CONTEXT)
    assert {raw(one.content, "StudyTime") for one in made} == {b"25:61:99"}
    assert {raw(one.content, "PatientWeight") for one in made} == {b"unknown "}


def test_a_value_that_cannot_be_decoded_at_all_is_left_out() -> None:
    source = with_raw("PregnancyStatus", "US", b"\x01\x02\x03")
    made = results.build([draft_of(source=source)], CONTEXT)
    assert all("PregnancyStatus" not in dcmread(BytesIO(one.content)) for one in made)


def test_a_patient_who_cannot_be_read_ends_in_an_error_and_not_in_an_object_for_nobody() -> None:
    class Unreadable(Dataset):
        def __getitem__(self, key: object) -> object:  # type: ignore[override]
            if key == Tag("PatientID"):
                raise ValueError("broken")
            return super().__getitem__(key)  # type: ignore[call-overload]

    source = Unreadable()
    source.update(source_of(Sheet()))
    with pytest.raises(EncodingFailed, match="PatientID"):
        inherited.copy_to(Dataset(), source)
