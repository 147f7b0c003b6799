from hypothesis import given
from hypothesis import strategies as st

from dicom.words import ascii_only, place, shortened
from models.values import PixelBox


@given(st.text())
def test_our_words_are_printable_ascii_on_one_line_whatever_comes_in(text: str) -> None:
    said = ascii_only(text)
    assert all(" " <= character <= "~" for character in said)
    assert "\\" not in said
    assert said == said.strip()


def test_signs_are_spelled_and_accents_dropped() -> None:
    assert ascii_only("ratio \u2265 0.5 \u2013 \u00e9lev\u00e9") == "ratio >= 0.5 - eleve"


@given(st.text(), st.integers(4, 70))
def test_shortened_words_fit(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit


def test_words_that_are_cut_say_so() -> None:
    assert shortened("abcdefghij", 8) == "abcde..."


def test_a_place_is_said_in_columns_and_rows_of_the_stored_film() -> None:
    assert place(PixelBox(10.2, 20.0, 30.0, 41.7)) == (
        "columns 10 to 30, rows 20 to 42 of the stored film"
    )
