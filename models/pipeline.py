"""From one film to a draft: look, judge, word, explain, mask; on one screen.

A stage that fails takes only itself away: the draft becomes PARTIAL and says which stage is
missing. Only the eye itself is not replaceable: without regions there is no draft.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from models.errors import ModelError
from models.gates import scope, table
from models.gates.words import Draft
from models.grounding import Regions
from models.masks import film
from models.rationale import pointer
from models.report import compose, looked, technique, wording
from models.report import findings as judging
from models.values import Analysis, GroundedReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.masks.blobs import Blob
    from models.protocols import Eye
    from models.report.looked import Looked
    from models.values import (
        ChestImage,
        Finding,
        FindingMask,
        OutOfScope,
        Rationale,
        Sight,
        Withheld,
    )

T = TypeVar("T")

STAGE_FAILURES = (ModelError, ArithmeticError, LookupError, ValueError, MemoryError)
"""What may go wrong inside a stage without taking the others with it."""


def analyse(image: "ChestImage", eye: "Eye") -> "Analysis | OutOfScope":
    """Look at one film and conclude; see :func:`conclude`.

    Raises
    ------
    UnreadableImage
        If the array is not a film.
    GpuOutOfMemory
        If the film does not fit.
    """
    started = time.perf_counter()
    (sight,) = eye.look((image,))
    return conclude(image, sight, eye, look_seconds=time.perf_counter() - started)


def conclude(
    image: "ChestImage", sight: "Sight", eye: "Eye", *, look_seconds: float = 0.0
) -> "Analysis | OutOfScope":
    """Everything after the network: no network, no clock but for ``stage_seconds``.

    The same sight gives the same draft. ``look_seconds`` is what looking took for this film (its
    share of a batch), recorded beside the stages.
    """
    refused = scope.refuse(image, sight, eye.identity)
    if refused is not None:
        return refused
    stages = _Stages({"look": look_seconds})
    judged = _judge(image, sight, eye, stages)
    draft, held = _word(judged, stages)
    masks: tuple[FindingMask, ...] = stages.run(
        "masks",
        lambda: film.leaving(
            judged.seen.drawn,
            draft.findings,
            judged.parts,
            image.pixels.shape,
            sides_known=judged.seen.technique.sides_known,
        ),
        instead=(),
    )
    return Analysis(
        image,
        sight,
        draft.findings,
        draft.report,
        draft.rationales,
        masks,
        (*judged.withheld, *held),
        (eye.identity,),
        stages.seconds,
        partial_reason=stages.partial_reason,
    )


@dataclass(slots=True)
class _Stages:
    """Runs the stages, keeps their time, and remembers which of them failed."""

    seconds: dict[str, float]
    failed: list[str] = field(default_factory=list)

    def run(self, stage: str, step: "Callable[[], T]", *, instead: "T") -> "T":
        """Run one stage; when it fails, name it and go on with ``instead``.

        Only the class of the error is kept: its message could carry what must not leave.
        """
        started = time.perf_counter()
        try:
            return step()
        except STAGE_FAILURES as error:
            self.failed.append(f"{stage} ({type(error).__name__})")
            return instead
        finally:
            spent = time.perf_counter() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    @property
    def partial_reason(self) -> str | None:
        """Which stages are missing from the draft, in words; None when none is."""
        return f"These stages failed: {', '.join(self.failed)}." if self.failed else None


@dataclass(frozen=True, slots=True)
class _Judged:
    """Findings after their gates, and the blobs that localised them, by finding id."""

    seen: "Looked"
    findings: "tuple[Finding, ...]"
    withheld: "tuple[Withheld, ...]"
    parts: "Mapping[str, tuple[Blob, ...]]"


def _judge(image: "ChestImage", sight: "Sight", eye: "Eye", stages: _Stages) -> _Judged:
    """Draw, judge, and pass the gates on findings; without their gates there are none."""
    span = Regions(image, sight.regions).thorax_span()
    drawn = stages.run(
        "masks",
        lambda: film.draw(sight, span, across=technique.across(image)),
        instead=film.NOTHING_DRAWN,
    )
    seen = looked.of(image, sight, eye, drawn)

    def findings() -> _Judged:
        found, parts = judging.judge(seen)
        kept, withheld = table.pass_findings(found, seen)
        return _Judged(seen, kept, withheld, parts)

    return stages.run("findings", findings, instead=_Judged(seen, (), (), {}))


def _word(judged: _Judged, stages: _Stages) -> "tuple[Draft, tuple[Withheld, ...]]":
    """Word, explain, and pass the gates on words; without their gates nothing is said."""
    seen, findings = judged.seen, judged.findings
    limits = (*seen.technique.remarks(), *seen.limits)
    silent = GroundedReport((), (), wording.NOT_ASSESSED, limits)
    report = stages.run("report", lambda: compose.compose(findings, limits), instead=silent)
    rationales: tuple[Rationale, ...] = stages.run(
        "rationale", lambda: pointer.explain(findings, report, seen.regions), instead=()
    )
    nothing: tuple[Draft, tuple[Withheld, ...]] = (Draft(findings, silent, ()), ())
    return stages.run(
        "gates",
        lambda: table.pass_words(Draft(findings, report, rationales), seen),
        instead=nothing,
    )
