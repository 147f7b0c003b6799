"""What flows out of the machine's eye: films, boxes, findings, sentences, rationale, masks.

Plain frozen values, numpy only: no DICOM, no database, no torch. Two frames exist and both are
written on every value that carries coordinates:

* *source pixels*: the stored grid of the film, ``x`` along a row (column index), ``y`` down a
  column (row index); ``(0.0, 0.0)`` is the top-left CORNER of the top-left pixel, as in an SR
  SCOORD (PS3.3 C.18.6.1.1).
* *right* and *left* are always the PATIENT's, whatever the display.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.errors import EmptyBox
from models.opinions import QualityOpinion, RegionSign, ScopeOpinion, SidesOpinion, SignOpinion
from models.vocabulary import (
    AnatomicStructure,
    BundleUse,
    Capability,
    MaskName,
    Observation,
    Presence,
    ScopeReason,
    Side,
    SpacingSource,
    ViewPosition,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PixelBox:
    """An upright box in source pixels; an empty or reversed box refuses to exist.

    Raises
    ------
    EmptyBox
        If ``x_max <= x_min`` or ``y_max <= y_min``, or a coordinate is not finite.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def __post_init__(self) -> None:
        # NaN compares false, so the negated form also refuses it.
        if not (
            self.x_max > self.x_min
            and self.y_max > self.y_min
            and abs(self.x_min) + abs(self.y_min) + abs(self.x_max) + abs(self.y_max) < float("inf")
        ):
            raise EmptyBox(self.x_min, self.y_min, self.x_max, self.y_max)

    @property
    def width(self) -> float:
        """Extent along a row, px."""
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        """Extent along a column, px."""
        return self.y_max - self.y_min

    @property
    def area(self) -> float:
        """Area, px²."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """``(x, y)`` of the middle, px."""
        return (self.x_min + self.x_max) / 2, (self.y_min + self.y_max) / 2


@dataclass(frozen=True, slots=True, eq=False)
class ChestImage:
    """One radiograph, ready to be looked at, on its stored grid.

    ``pixels`` is ``(rows, columns)`` float32 in 0..1, bright = dense (MONOCHROME2 sense).
    ``patient_orientation`` is Patient Orientation (0020,0020): the direction of a row and of a
    column, ``("L", "F")`` for the usual display; None when the header does not say.
    ``pixel_spacing_mm`` is ``(between rows, between columns)``, the DICOM order; None = unknown.
    """

    image_id: str
    pixels: "NDArray[np.float32]" = field(repr=False)
    view_position: ViewPosition | None = None
    patient_orientation: tuple[str, str] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    spacing_source: SpacingSource | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class AnatomyRegion:
    """One region, source pixels; ``score`` 0..1: the network's belief that it is visible.

    ``spread``, px, is how wide the network looked for an edge: the standard deviation of its heat
    map, mean of the four edges; no error bar. ``signs`` are those believed here. None: no head.
    """

    structure: AnatomicStructure
    box: PixelBox
    score: float
    spread: float | None = None
    signs: tuple[RegionSign, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Everything the eye reports on one film, before any judgement; all in source pixels.

    ``probabilities`` are the image-level outputs of the finding heads, 0..1. ``masks`` are soft,
    ``(rows, columns)`` float32 in 0..1 on the film's own grid. ``region_masks`` ``(rows, columns)``
    bool are each inside their region's box; empty without a head for them. To read one may take
    another look at the film, on the eye's own thread, and raise what a look raises.
    ``exchanged`` and ``out_of_order`` name regions that lay where they cannot, put right or not.
    ``unavailable`` names what the network in use has no head for.
    """

    scope: ScopeOpinion
    regions: tuple[AnatomyRegion, ...]
    probabilities: "Mapping[Observation, float]"
    masks: "Mapping[MaskName, NDArray[np.float32]]"
    sides: SidesOpinion | None = None
    signs: tuple[SignOpinion, ...] = ()
    qualities: tuple[QualityOpinion, ...] = ()
    exchanged: tuple[str, ...] = ()
    out_of_order: tuple[str, ...] = ()
    unavailable: tuple[Capability, ...] = ()
    region_masks: "Mapping[AnatomicStructure, NDArray[np.bool_]]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured quantity with its uncertainty band (same unit as the value).

    ``line`` holds the measured lines in source pixels, ``((x0, y0), (x1, y1))`` each.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    lines: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for, its state, and where.

    ``finding_id`` is unique inside one analysis ("F1", "N1" …). ``side`` is None for what has no
    side. ``structures`` are the regions it is tied to: for an ABSENT finding, the regions that
    were searched. ``boxes`` are in source pixels; empty when not localised.
    """

    finding_id: str
    observation: Observation
    presence: Presence
    probability: float | None
    side: Side | None
    structures: tuple[AnatomicStructure, ...]
    boxes: tuple[PixelBox, ...] = ()
    measurement: Measurement | None = None
    reason: str | None = None
    """For UNCERTAIN and NOT ASSESSED: why, in words a radiologist reads."""


@dataclass(frozen=True, slots=True)
class ReportSentence:
    """One sentence; its grounding is the link to findings, not its prose."""

    text: str
    finding_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a gate held back: the gate's name and a line a radiologist may read. Never hidden."""

    gate: str
    line: str
    finding_id: str | None = None


@dataclass(frozen=True, slots=True)
class GroundedReport:
    """The draft in words; ``not_assessed`` and ``limits`` are whole sentences for the reader."""

    findings: tuple[ReportSentence, ...]
    impression: tuple[ReportSentence, ...]
    not_assessed: str
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextStep:
    """A step of reasoning in words."""

    text: str


@dataclass(frozen=True, slots=True)
class VisualStep:
    """The region looked at (source pixels) and what was seen there; ``structures`` it covers."""

    box: PixelBox
    caption: str
    structures: tuple[AnatomicStructure, ...] = ()


@dataclass(frozen=True, slots=True)
class Rationale:
    """Interleaved text and visual steps, in order; one per group, the conclusion last.

    ``group`` is one of mediastinum, lungs, bones, others, conclusion (MMRad-IVL-22K).
    ``mode`` is always recorded: ``pointer`` means the pictures are the film's own pixels.
    """

    group: str
    steps: tuple[TextStep | VisualStep, ...]
    mode: str = "pointer"


@dataclass(frozen=True, slots=True, eq=False)
class FindingMask:
    """A mask on the film's own grid, ``(rows, columns)`` bool, of a finding or of an organ.

    Exactly one of ``finding_id`` and ``organ`` is set.
    """

    mask: "NDArray[np.bool_]" = field(repr=False)
    label: str
    finding_id: str | None = None
    organ: MaskName | None = None


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which network, for Algorithm Identification in SR and SEG and for the audit trail."""

    name: str
    version: str
    weights_sha256: str
    use: BundleUse


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that was made of one film. ``partial_reason`` is None when every stage succeeded."""

    image: ChestImage
    sight: Sight
    findings: tuple[Finding, ...]
    report: GroundedReport
    rationales: tuple[Rationale, ...]
    masks: tuple[FindingMask, ...]
    withheld: tuple[Withheld, ...]
    models: tuple[ModelIdentity, ...]
    stage_seconds: "Mapping[str, float]"
    partial_reason: str | None = None

    @property
    def anatomy(self) -> tuple[AnatomyRegion, ...]:
        """The regions found."""
        return self.sight.regions


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """The image itself says it must not be read; ``words`` are what a technologist reads."""

    image_id: str
    reason: ScopeReason
    words: str
    in_scope: float
    models: tuple[ModelIdentity, ...]
    sight: Sight | None = field(default=None, repr=False, compare=False)
    """What was seen all the same; for pictures and figures, never for a draft."""
