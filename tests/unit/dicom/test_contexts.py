import copy
from pathlib import Path

from pydicom.uid import UID

from dicom import contexts
from dicom.film import _SOP_CLASSES, FilmKind

DOCUMENT = Path(__file__).parents[3] / "docs" / "conformance.md"


def test_the_tables_of_the_conformance_statement_are_those_of_the_listener() -> None:
    text = DOCUMENT.read_text()
    between = text.partition("conformance_tables -->\n")[2].partition("<!-- end -->")[0]
    assert between == contexts.conformance_tables()


def test_every_uid_in_the_tables_is_the_one_its_name_says() -> None:
    for uid, name in {**contexts.FILMS, **contexts.OTHER_IMAGES, **contexts.DOCUMENTS}.items():
        assert UID(uid).name == name
    for uid, name in {**contexts.UNCOMPRESSED, **contexts.COMPRESSED}.items():
        assert UID(uid).is_transfer_syntax
        assert UID(uid).name.split()[0] == name.split()[0]


def test_both_kinds_of_film_are_read() -> None:
    assert set(_SOP_CLASSES.values()) == set(contexts.FILMS)
    assert set(_SOP_CLASSES) == set(FilmKind)


def test_classes_of_the_site_are_added_once() -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    rows = contexts.accepted_classes((ct, ct, contexts.CR_IMAGE))
    uids = [row.sop_class_uid for row in rows]
    assert uids.count(ct) == uids.count(contexts.CR_IMAGE) == 1
    assert {row.use for row in rows if row.sop_class_uid == ct} == {"recorded"}


def test_a_copied_context_is_independent_and_equal() -> None:
    for context in contexts.supported():
        twin = copy.deepcopy(context)
        assert twin == context
        assert twin is not context
        twin.add_transfer_syntax("1.2.840.10008.1.2.4.102")
        assert len(twin.transfer_syntax) == len(context.transfer_syntax) + 1


def test_uncompressed_comes_first() -> None:
    for context in contexts.supported():
        assert context.transfer_syntax[0] in contexts.UNCOMPRESSED
