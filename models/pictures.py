"""The pictures a reader sees: the film with its findings, and the film with its regions.

No patient data: only the film's pixels, what was seen on it, and "AI DRAFT, not verified".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models import pictures_signs
from models.canvas import LIGHT, Canvas, footer_height, wrap
from models.grounding import VISIBLE_FROM, Regions
from models.masks.regions import ORGAN_OF
from models.ontology import places
from models.report import technique
from models.report.wording import CERTAINTY, NAME
from models.values import Analysis, PixelBox
from models.vocabulary import AnatomicStructure, MaskName, Observation, Presence, SpacingSource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from models.values import (
        AnatomyRegion,
        ChestImage,
        Finding,
        Measurement,
        OutOfScope,
        Sight,
    )

    Colour = tuple[int, int, int]

BANNER = "AI DRAFT, not verified"
NOT_FOR = "DRAFT - not for diagnosis."
BAR_MM = 50.0

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_AMBER = (240, 180, 60)
_GREY = (165, 172, 180)
_COLOUR = {
    Observation.ENLARGED_CARDIAC_SILHOUETTE: (0, 190, 140),
    Observation.LUNG_OPACITY: (240, 228, 66),
    Observation.MASS: (232, 110, 30),
    Observation.PLEURAL_EFFUSION: (86, 180, 233),
}
_ORGAN_COLOUR = {
    MaskName.RIGHT_LUNG: (120, 150, 185),
    MaskName.LEFT_LUNG: (120, 150, 185),
    MaskName.HEART: (70, 150, 120),
}
_GROUP_COLOUR = {
    "mediastinum": (0, 190, 140),
    "lungs": (86, 180, 233),
    "bones": (240, 228, 66),
    "others": (204, 121, 167),
}
_GROUP_WORDS = "Green: mediastinum. Blue: lungs. Yellow: bones. Violet: below. Grey: parts."
_SHORT = {Observation.ENLARGED_CARDIAC_SILHOUETTE: "enlarged heart"}
_KEPT_CLEAR = (AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG)
_POSITIVE = (Presence.PRESENT, Presence.UNCERTAIN)
_PASSES = 4  # the footer's height depends on the width, which depends on the footer's height
_LEAST_FONT = 10  # px; smaller cannot be read
_FONT_SHARE = 1 / 70  # height of the letters over the size of the picture
_LEAST_WIDTH = 0.75  # of the size: a footer is never narrower than this


def overlay(analysis: "Analysis", size: int = 1024, *, signs: bool = False) -> "NDArray[np.uint8]":
    """Draw the film with its findings: ``(rows, columns, 3)``, no side longer than ``size`` px.

    Solid frames are likely, dashed ones possible; thin lines are lungs, heart and what was
    measured. ``signs`` adds those that are called, for `carina look`: none is delivered with them.
    """
    shown = pictures_signs.of(analysis.image, analysis.sight) if signs else None
    lines = _footer(analysis, shown.legend() if shown else ())
    layout = _layout(analysis.image, lines, size)
    lungs = [r.box for r in analysis.anatomy if r.structure in _KEPT_CLEAR]
    canvas = Canvas(analysis.image, layout.scale, layout.font_px, tuple(lungs))
    if shown:
        shown.under(canvas)
    by_id = {finding.finding_id: finding for finding in analysis.findings}
    for mask in analysis.masks:
        if mask.organ is not None:
            canvas.outline(mask.mask, _ORGAN_COLOUR.get(mask.organ, _GREY))
        elif mask.finding_id in by_id:
            colour = _COLOUR[by_id[mask.finding_id].observation]
            canvas.outline(mask.mask, colour, width=canvas.line_px)
    for finding in analysis.findings:
        _draw(canvas, finding)
    if shown:
        shown.labels(canvas)
    _mark_sides(canvas, analysis.image, analysis.sight)
    _mark_scale(canvas)
    return np.asarray(canvas.with_footer(lines, layout.width))


def refused(image: "ChestImage", result: "OutOfScope", size: int = 1024) -> "NDArray[np.uint8]":
    """Draw a film that is not read: its pixels, the reason across it, and nothing that was seen.

    ``(rows, columns, 3)``, no side longer than ``size`` px.
    """
    lines = [(f"{BANNER}. NOT READ. {result.words}", _AMBER), (NOT_FOR, _GREY)]
    layout = _layout(image, lines, size)
    canvas = Canvas(image, layout.scale, layout.font_px)
    canvas.corner("NOT READ", (0.04, 0.06), _AMBER)
    if result.sight is not None:
        _mark_sides(canvas, image, result.sight)
    return np.asarray(canvas.with_footer(lines, layout.width))


def _outlined_words(names: "Collection[AnatomicStructure]") -> str:
    """Say which regions are outlined; parts of organs are too many to be named."""
    parts = ["lungs, heart and their parts"] if any(name in ORGAN_OF for name in names) else []
    parts += sorted(name for name in names if name not in ORGAN_OF)
    return f"Outlined: {', '.join(parts)}."


def regions_overlay(
    image: "ChestImage",
    regions: "Sequence[AnatomyRegion]",
    size: int = 1024,
    *,
    masks: "Mapping[AnatomicStructure, NDArray[np.bool_]] | None" = None,
    remarks: "Sequence[str]" = (),
) -> "NDArray[np.uint8]":
    """Draw all regions with their names: outlined, or as a box where no outline was found.

    Dashed is the box of a region that the eye does not believe to be visible. ``remarks`` stand
    below, see :func:`region_remarks`.
    """
    believed = {r.structure for r in regions if r.score >= VISIBLE_FROM}
    outlined = {n: mask for n, mask in (masks or {}).items() if n in believed and mask.any()}
    lines = [(f"{BANNER}. Regions found; dashed: not believed to be visible.", _AMBER)]
    lines += [(words, _AMBER) for words in remarks]
    lines += [(_outlined_words(outlined), LIGHT)] if outlined else []
    lines += [(_GROUP_WORDS, LIGHT), (NOT_FOR, _GREY)]
    layout = _layout(image, lines, size)
    canvas = Canvas(image, layout.scale, layout.font_px)
    whole = {r.structure for r in regions if _region_colour(r) != _GREY}  # over the rims of parts
    for region in sorted(regions, key=lambda r: (r.structure in whole, -r.box.area)):
        colour = _region_colour(region)
        if region.structure in outlined:
            canvas.outline(outlined[region.structure], colour)
        else:
            canvas.frame(region.box, colour, dashed=region.structure not in believed)
    for region in sorted(regions, key=lambda region: region.box.area):
        canvas.label(region.structure.value, region.box, _region_colour(region), share=0.8)
    return np.asarray(canvas.with_footer(lines, layout.width))


def region_remarks(result: "Analysis | OutOfScope") -> list[str]:
    """Say beside the regions what casts doubt on them: a film that is not read, sides in doubt."""
    remarks = [] if isinstance(result, Analysis) else [f"NOT READ. {result.words}"]
    if result.sight is None:
        return remarks
    if result.sight.scope.mirrored >= technique.MIRRORED_FROM:
        remarks.append("SIDES IN DOUBT: right and left in the names may be exchanged.")
    return remarks + _disorder(result.sight)


def _draw(canvas: Canvas, finding: "Finding") -> None:
    colour = _COLOUR[finding.observation]
    if finding.measurement is not None:
        _measured(canvas, finding.measurement, colour)
    if finding.presence not in _POSITIVE:
        return
    name = _SHORT.get(finding.observation, NAME[finding.observation])
    text = f"{finding.finding_id} {CERTAINTY[finding.presence].lower()} {name}"
    for box in finding.boxes:
        canvas.frame(box, colour, dashed=finding.presence is Presence.UNCERTAIN)
    for box in finding.boxes[:1]:
        canvas.label(text, box, colour)


def _measured(canvas: Canvas, size: "Measurement", colour: "Colour") -> None:
    """Draw the measured lines, with the value at the longest."""
    for line in size.lines:
        canvas.measure(line, colour)
    if size.lines:
        (x0, y0), (x1, y1) = max(size.lines, key=lambda line: abs(line[1][0] - line[0][0]))
        under = PixelBox(min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1)
        text = f"{size.name} {size.value:.2f} ({size.low:.2f} to {size.high:.2f})"
        canvas.label(text, under, colour, share=0.9)


def _mark_scale(canvas: Canvas) -> None:
    """Five centimetres, where the header says how large a pixel is; nothing where it does not."""
    spacing = canvas.image.pixel_spacing_mm
    if spacing is None:
        return
    calibrated = canvas.image.spacing_source is SpacingSource.PIXEL_SPACING
    canvas.scale_bar(BAR_MM / spacing[1], "5 cm" if calibrated else "5 cm at the detector")


def _mark_sides(canvas: Canvas, image: "ChestImage", sight: "Sight") -> None:
    """Letters at the four edges, from Patient Orientation; a question mark where in doubt."""
    row, column = (d[:1] for d in image.patient_orientation or ("L", "F"))
    regions = Regions(image, sight.regions)
    known = technique.assess(image, sight, regions).sides_known
    opposite = {"L": "R", "R": "L", "F": "H", "H": "F"}
    ends = [(opposite[row], (0.015, 0.5)), (row, (0.985, 0.5))]
    if (row, column) != ("L", "F"):
        ends += [(opposite[column], (0.5, 0.03)), (column, (0.5, 0.97))]
    for letter, place in ends:
        canvas.corner(letter if known or letter in "FH" else f"{letter}?", place)


def _footer(
    analysis: "Analysis", legend: "Sequence[tuple[str, Colour]]" = ()
) -> "list[tuple[str, Colour]]":
    lines: list[tuple[str, Colour]] = [(_headline(analysis), _AMBER)]
    lines += [(words, _AMBER) for words in _doubts(analysis.sight)]
    lines += [(sentence.text, LIGHT) for sentence in analysis.report.impression]
    lines += [(held.line, _AMBER) for held in analysis.withheld]
    lines.append(
        ("Solid frame: likely. Dashed frame: possible. Thin: lungs, heart, widths.", _GREY)
    )
    lines.append((analysis.report.not_assessed, _GREY))
    lines += legend  # after the draft's own words, which say that it did not look for these
    lines.append((NOT_FOR, _GREY))
    return lines


def _doubts(sight: "Sight") -> list[str]:
    """List what the reader must know of the film before anything else."""
    doubts = []
    if sight.scope.mirrored >= technique.MIRRORED_FROM:
        shown = sight.sides is not None and sight.sides.mirrored and sight.sides.sure
        doubts.append(
            "SHOWN MIRRORED, or the organs lie mirrored: no side is stated."
            if shown
            else "SIDES IN DOUBT: the film may be shown mirrored; no side is stated."
        )
    return doubts + _disorder(sight)


def _disorder(sight: "Sight") -> list[str]:
    where = "; ".join(sight.out_of_order)
    return [f"Regions lie where they cannot: {where}"] if where else []


def _headline(analysis: "Analysis") -> str:
    uses = sorted({model.use.value for model in analysis.models})
    state = f"PARTIAL. {analysis.partial_reason}" if analysis.partial_reason else "COMPLETE."
    return f"{BANNER}. {state} Network for {', '.join(uses)} use."


def _region_colour(region: "AnatomyRegion") -> "Colour":
    for group, members in places.GROUPS.items():
        if region.structure in members:
            return _GROUP_COLOUR[group]
    return _GREY


@dataclass(frozen=True, slots=True)
class _Layout:
    """Film and footer in a square: picture pixels per film pixel, width of all, letters."""

    scale: float
    width: int
    font_px: int


def _layout(image: "ChestImage", lines: "Sequence[tuple[str, Colour]]", size: int) -> _Layout:
    """Fit film and footer into a square of ``size`` px.

    The footer may be wider than a narrow film, or its lines would grow longer than the film.
    """
    font_px = max(_LEAST_FONT, round(size * _FONT_SHARE))
    scale = size / max(image.rows, image.columns)
    width = size
    for _ in range(_PASSES):
        width = min(size, max(round(image.columns * scale), round(_LEAST_WIDTH * size)))
        footer = footer_height(wrap(lines, width, font_px), font_px)
        scale = min(scale, (size - footer) / image.rows)
    return _Layout(scale, width, font_px)
