import contextlib
import random
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from film_builders import a_film
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom import film, header, spool
from dicom.errors import IdentityInvalid, UndecodableInstance
from dicom.film import FilmDescription, FilmKind, FilmPatient
from dicom.values import Peer

CONTENT = film.encode(
    a_film("fuzz", rows=4, columns=4, kind=FilmKind.DX, patient=FilmPatient(patient_age="045Y"))
)
START = spool.data_set_start(CONTENT) or 0


def read(folder: Path, content: bytes) -> header.InstanceHeader:
    path = folder / "x.dcm"
    path.write_bytes(content)
    return header.read(path)


def read_film(folder: Path, ds: Dataset) -> header.FilmHeader:
    return read(folder, film.encode(ds)).film


def test_a_header_says_what_was_written(tmp_path: Path) -> None:
    patient = FilmPatient("ID1", "Doe^Jane", "19500612", "F", "075Y")
    ds = a_film(
        "x", patient=patient, view_position="AP", study_description="Thorax a.p.", instance_number=4
    )
    found = read(tmp_path, film.encode(ds))
    assert found.ref.study_instance_uid == ds.StudyInstanceUID
    assert found.patient.patient_name == "Doe^Jane"
    assert found.patient.patient_id == "ID1"
    assert found.film.view_position == "AP"
    assert found.film.is_candidate
    assert (found.film.rows, found.film.columns) == (64, 48)
    assert found.film.patient_orientation == ("L", "F")
    assert found.film.patient_age_years == 75.0
    assert found.film.instance_number == 4
    assert found.film.words == "Thorax a.p."
    assert found.film.acquisition == "time 20260102T103015.000000 number "


@pytest.mark.parametrize("name", ["山田^太郎", "Müller^Jörg", "Иванов^Иван", "محمد^علي"])
def test_names_of_any_script_are_read(tmp_path: Path, name: str) -> None:
    ds = a_film("x", patient=FilmPatient(patient_name=name))
    assert read(tmp_path, film.encode(ds)).patient.patient_name == name


def test_nothing_of_the_patient_is_in_the_printed_form(tmp_path: Path) -> None:
    patient = FilmPatient("ID-SECRET", "Secret^Name", "19500612", "F", "075Y")
    ds = a_film("x", patient=patient, study_description="Secret words")
    shown = repr(read(tmp_path, film.encode(ds)))
    assert "ecret" not in shown
    assert "19500612" not in shown


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_uncompressed_encoding_says_the_same(tmp_path: Path, syntax: str) -> None:
    expected = read_film(tmp_path, a_film("x", kind=FilmKind.DX))
    ds = a_film("x", kind=FilmKind.DX)
    if syntax == ExplicitVRBigEndian:
        ds["PixelData"].VR = "OW"
        path = tmp_path / "big.dcm"
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path, enforce_file_format=True)
        found = header.read(path)
    else:
        ds.file_meta.TransferSyntaxUID = syntax
        found = read(tmp_path, film.encode(ds))
    assert found.transfer_syntax_uid == syntax
    assert found.film == expected


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_missing_uid_is_an_invalid_identity(tmp_path: Path, keyword: str) -> None:
    ds = a_film("x")
    delattr(ds, keyword)
    with pytest.raises(IdentityInvalid):
        read(tmp_path, film.encode(ds))


@pytest.mark.parametrize(
    ("age", "born", "years"),
    [
        ("", "", None),
        ("045Y", "", 45.0),
        ("006M", "", 0.5),
        ("002W", "", 14 / 365.25),
        ("45Y", "", 45.0),
        ("ABC", "", None),
        ("999Y", "", None),
        ("", "20080103", 17.0),
        ("", "20080102", 18.0),
        ("", "2008.01.02", 18.0),
        ("", "20270101", None),
        ("", "19999999", None),
        ("040Y", "20200102", 6.0),
    ],
)
def test_the_age_is_the_younger_of_what_the_header_says(
    tmp_path: Path, age: str, born: str, years: float | None
) -> None:
    ds = a_film("x", patient=FilmPatient(patient_birth_date=""))  # examined on 2026-01-02
    for keyword, value in {"PatientAge": age, "PatientBirthDate": born}.items():
        if value:
            # Senders write what they like: LT is a VR that takes anything.
            ds.add_new(keyword, "LT", value)
    assert read_film(tmp_path, ds).patient_age_years == years


@pytest.mark.parametrize("midnight", ["", "000000", "000000.000"])
def test_midnight_tells_nothing_of_the_exposure(tmp_path: Path, midnight: str) -> None:
    ds = a_film("x")
    ds.AcquisitionTime = midnight
    assert read_film(tmp_path, ds).acquisition == ""


def test_the_irradiation_event_tells_the_exposure_best(tmp_path: Path) -> None:
    ds = a_film("x")
    ds.IrradiationEventUID = "1.2.3.4"
    assert read_film(tmp_path, ds).acquisition == "event 1.2.3.4"


def test_sources_are_read_and_illegal_ones_left_out(tmp_path: Path) -> None:
    ds, good, bad = a_film("x"), Dataset(), Dataset()
    good.ReferencedSOPInstanceUID = "1.2.3"
    bad.ReferencedSOPClassUID = "1.2"
    ds.SourceImageSequence = [good, bad]
    assert read_film(tmp_path, ds).source_sop_instance_uids == ("1.2.3",)


def test_the_most_specific_words_come_first(tmp_path: Path) -> None:
    ds = a_film("x", series_description="LAT", study_description="CHEST 2 VIEWS")
    assert read_film(tmp_path, ds).words == "LAT | CHEST 2 VIEWS"


def test_a_received_file_is_described_with_hash_and_size(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(CONTENT)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    found = header.received_from_file(path, Peer("A", "B", "10.0.0.5"), at)
    assert found.sha256 == spool.digest(path)
    assert found.size_bytes == len(CONTENT)
    assert found.spool_path == path.absolute()
    assert found.received_at == at


def test_a_header_before_a_large_deflated_film_is_found(tmp_path: Path) -> None:
    ds = a_film("x", rows=2000, columns=2000)
    ds.PixelData = bytes(len(ds.PixelData))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = film.encode(ds)
    assert len(content) < 100_000
    assert read(tmp_path, content).film.rows == 2000


def reads_or_refuses(folder: Path, content: bytes) -> None:
    with contextlib.suppress(UndecodableInstance):
        read(folder, content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


FUZZ = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), max_size=12))
def test_changed_bytes_never_raise_anything_else(
    folder: Path, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(CONTENT)
    for at, value in changes:
        content[at] = value
    reads_or_refuses(folder, bytes(content))


@FUZZ
@example(1231, 0, b"")  # pydicom raises an OSError without a number for a tag cut in two
@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)), st.binary(max_size=40))
def test_cut_and_spliced_files_never_raise_anything_else(
    folder: Path, first: int, second: int, between: bytes
) -> None:
    reads_or_refuses(folder, CONTENT[:first] + between + CONTENT[second:])


def test_a_number_of_broken_length_is_silence(tmp_path: Path) -> None:
    rows = CONTENT.index(b"\x28\x00\x10\x00US\2\0")
    broken = CONTENT[: rows + 6] + b"\3\0" + b"\4\0\0" + CONTENT[rows + 10 :]
    assert read(tmp_path, broken).film.rows is None


@FUZZ
@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00\xe0" * 60)
def test_any_data_set_behind_a_good_beginning_never_raises_anything_else(
    folder: Path, body: bytes
) -> None:
    reads_or_refuses(folder, CONTENT[:START] + body)


def test_sequences_nested_a_thousand_deep_are_refused(tmp_path: Path) -> None:
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    reads_or_refuses(tmp_path, CONTENT[:START] + opened * 2000)


def test_random_deflated_bytes_are_refused(tmp_path: Path) -> None:
    ds = a_film("x")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = film.encode(ds)
    start = spool.data_set_start(content)
    noise = random.Random(1).randbytes(500)
    for body in (noise, zlib.compress(noise)[2:-4], content[start:][:50]):
        with pytest.raises(UndecodableInstance):
            read(tmp_path, content[:start] + body)


def test_an_unknown_character_set_does_not_stop_the_reader(tmp_path: Path) -> None:
    ds = a_film("x", patient=FilmPatient(patient_name="Doe^Jane"))
    content = film.encode(ds).replace(b"ISO_IR 192", b"ISO_IR 999")
    assert read(tmp_path, content).patient.patient_name == "Doe^Jane"


def test_a_description_without_dates_of_birth_is_legal() -> None:
    assert FilmDescription("x").patient.patient_age == ""
