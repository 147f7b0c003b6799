"""Pictures a reader sees: complete, of the asked size, and the film under the lines."""

from dataclasses import replace

import numpy as np
import pytest
from films import EyeWithSigns, a_film
from PIL import Image

from models import pictures, pictures_signs, pipeline
from models.canvas import Canvas, wrap
from models.fakes import FakeEye, Planted
from models.opinions import SidesOpinion, SignOpinion
from models.values import Analysis, ChestImage, OutOfScope, PixelBox
from models.vocabulary import (
    AnatomicStructure,
    MaskName,
    Observation,
    Presence,
    ScopeReason,
    Sign,
)

GREEN = (0, 255, 0)


def a_draft(eye: FakeEye | None = None, image: ChestImage | None = None) -> Analysis:
    eye = eye or FakeEye(
        cardiothoracic_ratio=0.6,
        planted=(
            Planted(Observation.MASS, (0.3, 0.4)),
            Planted(Observation.PLEURAL_EFFUSION, (0.8, 0.7), probability=0.5),
        ),
    )
    result = pipeline.analyse(image or a_film(), eye)
    assert isinstance(result, Analysis)
    return result


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where a picture is not grey."""
    return np.asarray(picture.max(axis=2).astype(int) - picture.min(axis=2) > 40)


@pytest.mark.parametrize("shape", [(300, 260), (200, 500), (1200, 500)])
@pytest.mark.parametrize("size", [512, 1024])
def test_an_overlay_is_rgb_and_no_longer_than_asked(shape: tuple[int, int], size: int) -> None:
    picture = pictures.overlay(a_draft(image=a_film(*shape)), size)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert max(picture.shape) <= size
    assert max(picture.shape) > 0.6 * size


def test_an_overlay_draws_where_the_finding_is() -> None:
    analysis = a_draft(FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.4), (0.06, 0.05)),)))
    plain = a_draft(FakeEye())
    size = 800
    drawn, empty = pictures.overlay(analysis, size), pictures.overlay(plain, size)
    assert not np.array_equal(drawn, empty)
    layout = pictures._layout(analysis.image, pictures._footer(analysis), size)
    margin = (layout.width - round(260 * layout.scale)) // 2
    top = int((0.4 - 0.05) * 300 * layout.scale)
    left = margin + int((0.3 - 0.06) * 260 * layout.scale)
    assert coloured(drawn[top - 3 : top + 4, left : left + 20]).any()


def test_the_same_draft_gives_the_same_picture() -> None:
    analysis = a_draft()
    assert np.array_equal(pictures.overlay(analysis), pictures.overlay(analysis))


def test_a_draft_in_doubt_of_its_sides_is_drawn_too() -> None:
    mirrored, plain = a_draft(FakeEye(mirrored=0.9)), a_draft(FakeEye())
    shown, usual = pictures.overlay(mirrored, 600), pictures.overlay(plain, 600)
    assert shown.shape != usual.shape or not np.array_equal(shown, usual)


@pytest.mark.parametrize("orientation", [("R", "F"), ("F", "R"), None])
def test_any_orientation_is_drawn(orientation: tuple[str, str] | None) -> None:
    picture = pictures.overlay(a_draft(image=a_film(patient_orientation=orientation)), 512)
    assert picture.any()


def test_regions_are_drawn_with_dashes_where_they_are_not_believed() -> None:
    film = a_film()
    sure, unsure = (
        FakeEye(unseen=names).look((film,))[0].regions
        for names in (frozenset[AnatomicStructure](), frozenset(AnatomicStructure))
    )
    solid = coloured(pictures.regions_overlay(film, sure, 700)).sum()
    dashed = coloured(pictures.regions_overlay(film, unsure, 700)).sum()
    assert 0 < dashed < solid


def test_the_remarks_on_regions_tell_of_a_refused_film_and_of_sides_in_doubt() -> None:
    eye = FakeEye(in_scope=0.1, reason=ScopeReason.NOT_FRONTAL, mirrored=0.6)
    result = pipeline.analyse(a_film(), eye)
    refused, doubt = pictures.region_remarks(result)
    assert refused.startswith("NOT READ. ")
    assert doubt.startswith("SIDES IN DOUBT")
    assert pictures.region_remarks(a_draft(FakeEye())) == []


AIR = PixelBox(160, 40, 220, 120)
LINE = PixelBox(120, 40, 124, 160)
OUTLINES = {MaskName.PNEUMOTHORAX: AIR, MaskName.DEVICE: LINE}
LEFT_APEX = AnatomicStructure.LEFT_APICAL_ZONE


def with_signs(presence: Presence, *signs: Sign) -> EyeWithSigns:
    opinions = tuple(SignOpinion(sign, 0.7, presence, LEFT_APEX) for sign in signs)
    return EyeWithSigns(signs=opinions, outlines=OUTLINES)


def exactly(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == np.asarray(colour)).all(axis=2).sum())


def test_signs_that_are_called_are_framed_and_their_masks_drawn() -> None:
    draft = a_draft(with_signs(Presence.PRESENT, Sign.PNEUMOTHORAX, Sign.CHEST_TUBE))
    picture = pictures.overlay(draft, 800, signs=True)
    for colour in (pictures_signs.FRAME, pictures_signs.AIR, pictures_signs.DEVICE):
        assert exactly(picture, colour) > 50


def test_each_mask_is_drawn_for_its_own_signs_only() -> None:
    air, tube = (
        pictures_signs.of(draft.image, draft.sight)
        for draft in (
            a_draft(with_signs(Presence.PRESENT, sign))
            for sign in (Sign.PNEUMOTHORAX, Sign.ENTERIC_TUBE)
        )
    )
    assert air.air is not None
    assert air.devices is None
    assert tube.air is None
    assert tube.devices is not None
    assert tube.devices[60, 121]


def test_what_is_not_called_is_not_drawn_but_named() -> None:
    draft = a_draft(with_signs(Presence.UNCERTAIN, Sign.PNEUMOTHORAX, Sign.CHEST_TUBE))
    shown = pictures_signs.of(draft.image, draft.sight)
    assert (shown.frames, shown.air, shown.devices) == ((), None, None)
    called, unsure = (text for text, _ in shown.legend())
    assert called.endswith("Called present: none.")
    assert unsure == "Uncertain, not drawn: pneumothorax 0.70, chest tube 0.70."


def test_the_signs_of_one_region_share_a_frame() -> None:
    draft = a_draft(with_signs(Presence.PRESENT, Sign.PNEUMOTHORAX, Sign.NODULE))
    ((_, text),) = pictures_signs.of(draft.image, draft.sight).frames
    assert text == "pneumothorax 0.70\nnodule 0.70"


def test_a_region_that_is_not_visible_is_not_framed() -> None:
    eye = replace(with_signs(Presence.PRESENT, Sign.NODULE), unseen=frozenset({LEFT_APEX}))
    draft = a_draft(eye)
    shown = pictures_signs.of(draft.image, draft.sight)
    assert shown.frames == ()
    assert "framed" not in shown.legend()[0][0]


def test_a_called_tube_without_an_outline_is_said_to_have_none() -> None:
    draft = a_draft(replace(with_signs(Presence.PRESENT, Sign.PACEMAKER), outlines={}))
    texts = [text for text, _ in pictures_signs.of(draft.image, draft.sight).legend()]
    assert "Outlined: tubes, lines and devices; no outline was found" in texts


def test_no_sign_is_on_a_picture_that_is_delivered() -> None:
    seen = with_signs(Presence.PRESENT, Sign.PNEUMOTHORAX, Sign.CHEST_TUBE)
    without = replace(seen, signs=())
    assert np.array_equal(pictures.overlay(a_draft(seen)), pictures.overlay(a_draft(without)))


def test_a_label_stays_on_the_film_and_off_other_labels() -> None:
    canvas = Canvas(a_film(), 2.0)
    for _ in range(3):
        canvas.label("a long label at the edge", PixelBox(240, 0, 260, 8), GREEN)
    for x0, y0, x1, y1 in canvas._labels:
        assert 0 <= x0 < x1 <= canvas.picture.size[0]
        assert 0 <= y0 < y1 <= canvas.picture.size[1]
    (_, a0, _, a1), (_, b0, _, _), _ = sorted(canvas._labels, key=lambda place: place[1])
    assert b0 >= a1 or a0 == b0


def test_a_label_keeps_off_what_a_reader_looks_at_when_there_is_room() -> None:
    film = a_film(300, 400)
    lung, finding = PixelBox(120, 40, 280, 260), PixelBox(180, 120, 210, 150)
    plain, careful = Canvas(film, 1.0), Canvas(film, 1.0, keep_clear=(lung,))
    for canvas in (plain, careful):
        canvas.label("a mass", finding, GREEN)
    (near,), (away,) = plain._labels, careful._labels
    assert lung.x_min < near[0] < lung.x_max
    assert away[2] <= lung.x_min or away[0] >= lung.x_max


def test_five_centimetres_are_drawn_where_the_pixel_spacing_is_known() -> None:
    plain = a_film(300, 300)
    known = replace(plain, pixel_spacing_mm=(1.0, 1.0))
    with_bar, without = (pictures.overlay(a_draft(FakeEye(), film), 600) for film in (known, plain))
    assert with_bar.shape == without.shape
    changed = np.argwhere((with_bar != without).any(2))
    assert len(changed)
    assert changed[:, 1].min() > 0.5 * with_bar.shape[1]


def test_a_refused_film_is_drawn_with_its_reason_and_nothing_that_was_seen() -> None:
    eye = FakeEye(in_scope=0.1, reason=ScopeReason.NOT_A_CHEST)
    film = a_film()
    result = pipeline.analyse(film, eye)
    assert isinstance(result, OutOfScope)
    picture = pictures.refused(film, result, 600)
    assert max(picture.shape) <= 600
    assert coloured(picture).any()


def test_a_film_in_doubt_of_its_sides_says_so_first() -> None:
    usual, doubtful = (a_draft(FakeEye(mirrored=m)).sight for m in (0.1, 0.6))
    assert pictures._doubts(usual) == []
    assert pictures._doubts(doubtful)[0].startswith("SIDES IN DOUBT")
    mirrored = replace(doubtful, sides=SidesOpinion(mirrored=True, sure=True, evidence=6.0))
    assert pictures._doubts(mirrored)[0].startswith("SHOWN MIRRORED")


def test_text_is_broken_at_spaces_and_none_of_it_is_lost() -> None:
    text = "one two three four five six seven"
    lines = wrap([(text, GREEN)], 80, 12)
    assert len(lines) > 1
    assert " ".join(line for line, _ in lines) == text


def test_the_footer_holds_the_banner_below_the_film() -> None:
    analysis = a_draft(FakeEye())
    picture = pictures.overlay(analysis, 900)
    layout = pictures._layout(analysis.image, pictures._footer(analysis), 900)
    film_height = round(300 * layout.scale)
    footer = picture[film_height + 2 :]
    assert footer.shape[0] > 40
    assert coloured(footer[:30]).any()  # the amber banner line
    assert pictures.BANNER == "AI DRAFT, not verified"


def test_the_film_under_the_lines_is_the_film() -> None:
    film = a_film(300, 260)
    picture = Canvas(film, 1.0).picture
    grey = np.rint(film.pixels * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(picture)[..., 0], grey)
    assert isinstance(picture, Image.Image)
