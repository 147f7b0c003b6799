from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from draft_builders import CONTEXT, Sheet, draft_of, source_of
from pydicom import Dataset, dcmread
from validators import dciodvfy

from dicom import pictures
from dicom.profile import DestinationProfile
from dicom.values import ResultInstance, ResultKind
from models.rationale.crops import crop
from models.values import PixelBox

SHEET = Sheet(rows=400, columns=360)
ROOM = 10_000_000


def built(sheet: Sheet = SHEET) -> pictures.Booklet:
    return pictures.build([draft_of(sheet)], CONTEXT, ROOM)


def read(content: bytes) -> Dataset:
    ds: Dataset = dcmread(BytesIO(content))
    return ds


def test_first_the_overview_then_a_crop_of_every_visual_step() -> None:
    booklet = built()
    assert [one.number for one in booklet.instances] == [1, 2, 3]
    assert [(key.rationale, key.step) for key in booklet.by_step] == [(0, 1), (0, 2)]
    assert len({one.ref.series_instance_uid for one in booklet.instances}) == 1


def test_a_crop_shows_the_films_own_pixels_over_its_stamp() -> None:
    draft = draft_of(SHEET)
    planned = list(pictures.plan([draft]))
    booklet = pictures.build([draft], CONTEXT, ROOM)
    box = planned[1].box
    assert box is not None
    expected = crop(draft.analysis.image, box, 512)
    shown = read(booklet.instances[1].content).pixel_array
    rows, columns = expected.shape
    assert shown.shape[0] > rows
    # J2K lossless: not similar, the same.
    assert np.array_equal(shown[:rows, :columns], np.repeat(expected[..., None], 3, axis=2))


def test_the_stamp_is_burned_in() -> None:
    plain = np.full((100, 300, 3), 9, np.uint8)
    stamped = pictures.stamped(plain)
    band = stamped[100:]
    assert np.array_equal(stamped[:100, :300], plain)
    assert (band.max(axis=2) > 150).sum() > 200


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (31, 31)])
def test_the_stamp_fits_however_small_the_crop(size: tuple[int, int]) -> None:
    stamped = pictures.stamped(np.zeros((*size, 3), np.uint8))
    assert min(stamped.shape[:2]) >= pictures.SMALLEST_SIDE_PX
    lit = np.nonzero(stamped.max(axis=(0, 2)) > 150)[0]
    assert pictures.MARGIN_PX <= lit.min() <= lit.max() <= stamped.shape[1] - pictures.MARGIN_PX


def test_crops_are_at_most_512_pixels() -> None:
    big = Sheet(rows=1200, columns=1100)
    for one in built(big).instances[1:]:
        ds = read(one.content)
        assert ds.Columns <= 512
        assert ds.Rows <= 512 + 40


def test_a_picture_points_at_its_film_and_lies_as_it_lies() -> None:
    sheet = replace(SHEET, orientation=("R", "F"))
    ds = read(built(sheet).instances[1].content)
    source = ds.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == draft_of(sheet).source.SOPInstanceUID
    assert list(ds.PatientOrientation) == ["R", "F"]
    assert ds.BodyPartExamined == "CHEST"
    assert ds.DerivationDescription.startswith("AI DRAFT, not verified. lungs: the right lung")
    assert "PixelSpacing" not in ds


@pytest.mark.parametrize("value", ["YES", "NO", None])
def test_burned_in_annotation_is_the_films_own_answer(value: str | None) -> None:
    source = source_of(SHEET)
    del source.BurnedInAnnotation
    if value:
        source.BurnedInAnnotation = value
    booklet = pictures.build([draft_of(SHEET, source=source)], CONTEXT, ROOM)
    assert {read(one.content).get("BurnedInAnnotation") for one in booklet.instances} == {value}


def test_a_lossy_film_has_pictures_that_say_so() -> None:
    source = source_of(SHEET)
    source.LossyImageCompression, source.LossyImageCompressionRatio = "01", "12.5"
    source.LossyImageCompressionMethod = "ISO_10918_1"
    (first, *_) = pictures.build([draft_of(SHEET, source=source)], CONTEXT, ROOM).instances
    ds = read(first.content)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12.5)


def test_dciodvfy_finds_nothing(tmp_path: Path) -> None:
    for one in built().instances:
        found = dciodvfy(one.content, tmp_path)
        assert [line for line in found if "Study ID" not in line] == []


def test_pictures_are_made_only_where_asked_for_and_taken() -> None:
    unwanted = replace(CONTEXT, kinds=(ResultKind.TEXT_SR,))
    untaken = replace(CONTEXT, profile=DestinationProfile(pictures=False))
    for context in (unwanted, untaken):
        assert pictures.build([draft_of(SHEET)], context, ROOM) == pictures.Booklet()


def test_smaller_crops_are_tried_before_pictures_are_left_out() -> None:
    sheet = Sheet(rows=800, columns=700)
    full = pictures.build([draft_of(sheet)], CONTEXT, ROOM)
    size = sum(len(one.content) for one in full.instances)
    smaller = pictures.build([draft_of(sheet)], CONTEXT, size - 1)
    assert len(smaller.instances) == len(full.instances)
    assert sum(len(one.content) for one in smaller.instances) < size
    assert pictures.build([draft_of(sheet)], CONTEXT, 1000) == pictures.Booklet(
        notes=(pictures.NOTE_LEFT_OUT,)
    )


def test_a_box_beyond_the_film_is_cut_at_its_edge() -> None:
    picture = crop(draft_of(SHEET).analysis.image, PixelBox(-5, -5, 20, 30))
    assert picture.shape == (30, 20)


def test_an_overview_that_was_drawn_already_is_not_drawn_again() -> None:
    drawn = np.full((64, 48, 3), 7, np.uint8)
    booklet = pictures.build([replace(draft_of(SHEET), overview=drawn)], CONTEXT, ROOM)
    assert np.array_equal(read(booklet.instances[0].content).pixel_array, drawn)


def test_no_more_pictures_are_made_once_they_have_outgrown_their_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[object, ...]] = []
    real = pictures._instance

    def counted(*given: Any) -> ResultInstance:
        made.append(given)
        return real(*given)

    monkeypatch.setattr(pictures, "_instance", counted)
    booklet = pictures.build([draft_of(SHEET)], CONTEXT, 100)
    assert booklet.notes == (pictures.NOTE_LEFT_OUT,)
    assert len(made) == len(pictures.CROP_SIZES_PX)
