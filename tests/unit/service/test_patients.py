from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dicom.values import PatientIdentity
from service.patients import PatientKeys, are_one, keys

JOHN = PatientIdentity("4711", "HOSPITAL", "DOE^JOHN", "19600101", "M")


def test_keys_do_not_show_the_patient_and_differ_by_study() -> None:
    found = keys(JOHN, "1.2.3")
    assert not {"4711", "DOE", "HOSPITAL"} & set(repr(found).split("'"))
    assert found != keys(JOHN, "1.2.4")
    assert len(found.patient_key) == 64


def test_a_silent_header_has_silent_keys() -> None:
    assert keys(PatientIdentity("", "", "", "", ""), "1.2.3") == PatientKeys("", "", "")


def test_spelling_without_meaning_is_the_same_name() -> None:
    spellings = ("DOE^JOHN", "Doe^John^^", "DOE^JOHN=ドウ^ジョン", " doe^john ")
    assert len({keys(replace(JOHN, patient_name=name), "1").name_key for name in spellings}) == 1


def test_one_number_is_one_patient_whatever_the_name() -> None:
    married = replace(JOHN, patient_name="ROE^JOHN")
    assert are_one([keys(JOHN, "1"), keys(married, "1")])


def test_the_same_number_of_two_issuers_is_two_patients() -> None:
    elsewhere = replace(JOHN, issuer_of_patient_id="ELSEWHERE")
    assert not are_one([keys(JOHN, "1"), keys(elsewhere, "1")])


def test_without_a_number_the_names_speak() -> None:
    nameless = replace(JOHN, patient_id="", patient_name="")
    jane = replace(JOHN, patient_id="", patient_name="ROE^JANE")
    assert are_one([keys(JOHN, "1"), keys(nameless, "1")])
    assert not are_one([keys(JOHN, "1"), keys(jane, "1")])


@given(st.lists(st.builds(PatientKeys, *[st.sampled_from(["", "a", "b"])] * 3), max_size=5))
def test_the_order_of_arrival_changes_nothing(found: list[PatientKeys]) -> None:
    assert are_one(found) == are_one(reversed(found))
    assert not found or are_one([found[0]] * 3)
