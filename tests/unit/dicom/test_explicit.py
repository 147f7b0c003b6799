from io import BytesIO

import pytest
from draft_builders import ALL_FINDINGS, CONTEXT, Sheet, draft_of, mass_finding
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, FileMetaDataset, config, dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicom import explicit, quiet, results

SHEET = Sheet(rows=120, columns=100)
CONTENT = 0x0040A730


def document() -> Dataset:
    """Return a data set with nothing in it but what a file must have."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def written(ds: Dataset) -> bytes:
    """Return the file, as an encoder of ours would write it."""
    buffer = BytesIO()
    with quiet.reading(), config.disable_value_validation():
        dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def item(**values: object) -> Dataset:
    """Return an item that holds these values."""
    ds = Dataset()
    with quiet.reading(), config.disable_value_validation():
        for keyword, value in values.items():
            setattr(ds, keyword, value)
    return ds


def both(*items: Dataset, charset: str | list[str] | None = None) -> tuple[bytes, bytes, bool]:
    """Return the file with and without settling, and whether it was settled."""
    ds = document()
    if charset is not None:
        ds.SpecificCharacterSet = charset
    ds.ContentSequence = list(items)
    plain = written(ds)
    explicit.settle(ds)
    return written(ds), plain, isinstance(ds.get_item(CONTENT), RawDataElement)


PLAIN = {
    "words": item(TextValue="odd", CodeValue="121071", CodeMeaning="Finding!"),
    "a UID of odd length": item(ReferencedSOPInstanceUID="1.2.3"),
    "several values": item(ImageType=["DERIVED", "PRIMARY"], PatientOrientation=["L", "F"]),
    "no value": item(TextValue="", CodeValue=None, ContentSequence=[]),
    "numbers as text": item(PixelSpacing=[0.2, 0.125], InstanceNumber=7, NumericValue="0.5140"),
    "binary numbers": item(
        GraphicData=[0.5, 1.0, 2.5], SegmentNumber=3, RecommendedDisplayCIELabValue=[1, 2, 65535]
    ),
    "a double": item(FloatingPointValue=0.1),
    "items in items": item(ContentSequence=[item(TextValue="a" * 70_000), item()]),
}


@pytest.mark.parametrize("one", PLAIN.values(), ids=PLAIN)
def test_what_is_plain_is_written_as_pydicom_writes_it(one: Dataset) -> None:
    settled, plain, is_raw = both(one, one)
    assert is_raw
    assert settled == plain


@pytest.mark.parametrize("charset", ["ISO_IR 192", ["", "ISO 2022 IR 87"], "GB18030", "ISO_IR 100"])
def test_plain_words_are_the_same_in_every_character_set(charset: str | list[str]) -> None:
    settled, plain, is_raw = both(item(TextValue="Lung ~ opacity [1]"), charset=charset)
    assert is_raw
    assert settled == plain


LEFT_ALONE = {
    "words beyond ASCII": item(TextValue="Mühle"),
    "a person": item(PersonName="Doe^Jane"),
    "bytes": item(EncapsulatedDocument=b"\0\1"),
    "a character set of its own": item(SpecificCharacterSet="ISO_IR 192", TextValue="a"),
}


@pytest.mark.parametrize("one", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_not_plain_is_left_to_pydicom(one: Dataset) -> None:
    settled, plain, is_raw = both(item(ContentSequence=[one]), charset="ISO_IR 192")
    assert not is_raw
    assert settled == plain


def test_an_item_that_was_read_from_a_film_is_left_to_pydicom() -> None:
    ds = document()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.ContentSequence = [item(TextValue="a")]
    (read,) = dcmread(BytesIO(written(ds))).ContentSequence
    settled, plain, is_raw = both(read)
    assert not is_raw
    assert settled == plain


def test_a_value_representation_that_depends_on_another_is_settled_first() -> None:
    def made() -> Dataset:
        ds = document()
        ds.PixelRepresentation = 1
        ds.SmallestImagePixelValue = -2
        ds.ContentSequence = [item(TextValue="a")]
        return ds

    ds = made()
    explicit.settle(ds)
    assert written(ds) == written(made())


def test_a_settled_sequence_can_still_be_read() -> None:
    ds = document()
    ds.ContentSequence = [item(TextValue="a", ContentSequence=[item(TextValue="b")])]
    explicit.settle(ds)
    assert ds.ContentSequence[0].ContentSequence[0].TextValue == "b"


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"))


@settings(max_examples=60, deadline=None)
@given(st.recursive(WORDS, lambda deeper: st.lists(deeper, max_size=3), max_leaves=12))
def test_any_tree_of_words_is_written_alike(tree: object) -> None:
    def grown(node: object) -> Dataset:
        if isinstance(node, list):
            return item(ContentSequence=[grown(one) for one in node])
        return item(TextValue=node, CodeMeaning=node)

    settled, plain, is_raw = both(grown(tree))
    assert is_raw
    assert settled == plain


def test_a_whole_result_set_is_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = draft_of(SHEET, (mass_finding(SHEET), *ALL_FINDINGS))
    quick = results.build([draft], CONTEXT)
    monkeypatch.setattr(explicit, "settle", lambda _: None)
    assert results.build([draft], CONTEXT) == quick
