"""Which films of a study are read, and why each other instance is not.

The scope gate by header: no value may contradict *adult frontal chest radiograph* (PA or AP). A
silent header is no contradiction; unknown age and view follow the site's policy and leave a
remark. What the header lets through the image itself must affirm later.

Every frontal acquisition is read. Among processed copies of one exposure one is chosen: the one
without a special purpose in its description, then ORIGINAL before DERIVED, then DX before CR, then
the larger grid, then the lower instance number, then the lower SOP Instance UID.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dicom import contexts, keywords
from dicom.header import WORDS_SEPARATOR
from dicom.keywords import Part, View
from dicom.values import Choice, Chosen, Rejected
from models.vocabulary import ViewPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dicom.values import FilmHeader


class WhenUnknown(StrEnum):
    """What to do with a film whose header is silent."""

    READ = "read"
    TURN_AWAY = "turn away"


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """What the site reads. ``minimum_side_px`` is the shorter side a film must have."""

    unknown_age: WhenUnknown = WhenUnknown.READ
    unknown_view: WhenUnknown = WhenUnknown.READ
    adult_age_years: float = 18.0
    minimum_side_px: int = 256


_FRONTAL = {"PA": ViewPosition.PA, "AP": ViewPosition.AP}
_LATERAL = {"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "L", "R"}
_DEPTH = {"A", "P"}
_MODALITIES = {"CR", "DX", "RG", ""}
_GREY = {"MONOCHROME1", "MONOCHROME2", ""}
_LONGEST_OVER_SHORTEST = 3.0
_LARGEST_SIDE_PX = 16384
_SILENT_PARTS = {"", "UNKNOWN", "OTHER", "NONE", "DEFAULT", "STANDARD"}


def verdict(header: "FilmHeader", policy: ReadingPolicy) -> Rejected | None:
    """Return why a film is not read, by its header alone; None when nothing speaks against it."""
    for rule in _RULES:
        found = rule(header, policy)
        if found is not None:
            code, words = found
            return Rejected(header.ref.sop_instance_uid, code, words)
    return None


def choose(headers: "Iterable[FilmHeader]", policy: ReadingPolicy) -> Choice:
    """Return the films of a study to read, and every other instance with its reason.

    The order of the films is the order of their instance numbers, then of their UIDs.
    """
    rejected: list[Rejected] = []
    candidates: list[FilmHeader] = []
    for header in sorted(headers, key=_order):
        reason = verdict(header, policy)
        if reason is None:
            candidates.append(header)
        else:
            rejected.append(reason)
    films = []
    for copies in _exposures(candidates):
        best, *others = sorted(copies, key=_preference)
        films.append(_chosen(best, len(copies)))
        rejected += [_other_copy(header, best) for header in others]
    return Choice(films=tuple(films), rejected=tuple(rejected))


_Reason = tuple[str, str]


def _by_class(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    if header.is_candidate:
        return None
    uid = header.ref.sop_class_uid
    name = {**contexts.OTHER_IMAGES, **contexts.DOCUMENTS}.get(uid, "another kind of object")
    return "NOT_A_FILM", f"not a chest film: {name.removesuffix(' Storage')}"


def _by_modality(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    if header.modality in _MODALITIES:
        return None
    return "MODALITY", "the modality is not plain radiography"


def _by_processing(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    if header.presentation_intent_type == "FOR PROCESSING":
        return "FOR_PROCESSING", "raw image for processing, not for presentation"
    if "SECONDARY" in header.image_type[1:2] or "LOCALIZER" in header.image_type:
        return "SECONDARY", "made from other images, not at the exposure (Image Type SECONDARY)"
    return None


def _by_pixels(header: "FilmHeader", policy: ReadingPolicy) -> _Reason | None:
    if header.number_of_frames > 1:
        return "MULTI_FRAME", f"{header.number_of_frames} frames, not a single film"
    if header.samples_per_pixel not in (None, 1) or (
        header.photometric_interpretation not in _GREY
    ):
        return "COLOUR", "a colour image, not a grey film"
    rows, columns = header.rows or 0, header.columns or 0
    shorter, longer = min(rows, columns), max(rows, columns)
    if shorter < policy.minimum_side_px:
        return "TOO_SMALL", f"too few pixels ({rows} rows, {columns} columns)"
    if longer > _LARGEST_SIDE_PX:
        return "TOO_LARGE", f"too many pixels ({rows} rows, {columns} columns)"
    if longer > shorter * _LONGEST_OVER_SHORTEST:
        return "STRIP", f"a strip, not a chest film ({rows} rows, {columns} columns)"
    return None


def _by_part(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    stated = header.body_part_examined
    for source, text in (
        ("Body Part Examined", "" if stated in _SILENT_PARTS else stated),
        ("description", _first_that_names(header.words, keywords.parts)),
    ):
        named = keywords.parts(text)
        if named and (Part.CHEST not in named or Part.WHOLE_BODY in named):
            words = ", ".join(sorted(part.value for part in named))
            return "BODY_PART", f"not a chest: the header says {words} ({source})"
    return None


def _by_stated_view(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    stated = header.view_position
    if stated in _LATERAL:
        return "LATERAL", f"a lateral view (View Position {stated})"
    if stated and stated not in _FRONTAL and View.FRONTAL not in keywords.views(stated):
        return "VIEW", "not a frontal view (View Position is neither PA nor AP)"
    return None


def _by_orientation(header: "FilmHeader", _: ReadingPolicy) -> _Reason | None:
    row, column = header.patient_orientation or ("", "")
    if row[:1] in _DEPTH:  # along a row from front to back: seen from the side
        return "LATERAL", "a lateral view (Patient Orientation)"
    if column[:1] in _DEPTH:
        return "VIEW", "not a frontal view (Patient Orientation)"
    return None


def _by_described_view(header: "FilmHeader", policy: ReadingPolicy) -> _Reason | None:
    named = keywords.views(_first_that_names(header.words, keywords.views))
    if View.LATERAL in named and View.FRONTAL not in named:
        return "LATERAL", "a lateral view (description)"
    if View.OTHER in named:
        return "VIEW", "an oblique, lordotic or decubitus view (description)"
    silent = not header.view_position and View.FRONTAL not in named
    if silent and policy.unknown_view is WhenUnknown.TURN_AWAY:
        return "UNKNOWN_VIEW", "the header does not say which view this is"
    return None


def _by_age(header: "FilmHeader", policy: ReadingPolicy) -> _Reason | None:
    age = header.patient_age_years
    if age is None:
        if policy.unknown_age is WhenUnknown.TURN_AWAY:
            return "UNKNOWN_AGE", "the header does not say how old the patient is"
        return None
    if age < policy.adult_age_years:
        return "CHILD", f"the patient is younger than {policy.adult_age_years:g} years"
    return None


_RULES: "Sequence[Callable[[FilmHeader, ReadingPolicy], _Reason | None]]" = (
    _by_class,
    _by_processing,
    _by_modality,
    _by_part,
    _by_stated_view,
    _by_orientation,
    _by_described_view,
    _by_age,
    _by_pixels,
)
"""In the order in which a technologist would look."""


def _first_that_names(
    words: str, names: "Callable[[str], frozenset[Part]] | Callable[[str], frozenset[View]]"
) -> str:
    """Return the most specific description that says anything: a study may hold several views."""
    return next((text for text in words.split(WORDS_SEPARATOR) if names(text)), "")


def _exposures(candidates: "Sequence[FilmHeader]") -> "list[list[FilmHeader]]":
    """Group processed copies of one exposure, in the order of their first member."""
    groups: list[list[FilmHeader]] = []
    for header in candidates:
        akin = [group for group in groups if any(_one_exposure(header, other) for other in group)]
        merged = [member for group in akin for member in group] + [header]
        groups = [group for group in groups if group not in akin] + [merged]
    return sorted(groups, key=lambda group: min(_order(header) for header in group))


def _one_exposure(one: "FilmHeader", other: "FilmHeader") -> bool:
    linked = (
        other.ref.sop_instance_uid in one.source_sop_instance_uids
        or one.ref.sop_instance_uid in other.source_sop_instance_uids
    )
    stated = {one.view_position, other.view_position} - {""}
    same_moment = bool(one.acquisition) and one.acquisition == other.acquisition
    return linked or (same_moment and len(stated) <= 1)


def _order(header: "FilmHeader") -> tuple[int, str]:
    return header.instance_number or 0, header.ref.sop_instance_uid


def _preference(header: "FilmHeader") -> tuple[object, ...]:
    return (
        keywords.is_specially_processed(header.words + _types(header)),
        "ORIGINAL" not in header.image_type[:1],
        header.ref.sop_class_uid != contexts.DX_FOR_PRESENTATION,
        -(header.rows or 0) * (header.columns or 0),
        *_order(header),
    )


def _types(header: "FilmHeader") -> str:
    return "".join(f" {value}" for value in header.image_type[2:])


def _chosen(header: "FilmHeader", copies: int) -> Chosen:
    remarks = []
    view = _FRONTAL.get(header.view_position)
    if view is None:
        remarks.append("view not stated in the header")
    if header.patient_age_years is None:
        remarks.append("age not stated in the header")
    if not header.body_part_examined and not keywords.parts(header.words):
        remarks.append("body part not stated in the header")
    if copies > 1:
        remarks.append(f"one of {copies} processed copies of one exposure was read")
    return Chosen(header, view, tuple(remarks))


def _other_copy(header: "FilmHeader", best: "FilmHeader") -> Rejected:
    return Rejected(
        header.ref.sop_instance_uid,
        "OTHER_COPY",
        "a processed copy of the same exposure was read instead"
        f" (instance number {best.instance_number if best.instance_number is not None else '?'})",
    )
