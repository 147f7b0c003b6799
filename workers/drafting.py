"""From what the network saw to the drafts of a study: judged film by film."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom.drafts import FilmDraft
from dicom.values import Rejected
from models import pipeline
from models.errors import GpuOutOfMemory, ModelError
from models.values import Analysis, OutOfScope
from workers import failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.protocols import Eye
    from models.values import Sight
    from workers.films import Film

NO_MEMORY = "A film of this study could not be read for lack of memory."


@dataclass(frozen=True, slots=True)
class Drafted:
    """The drafts of a study, the films turned away by what is on them, and what had no room."""

    drafts: tuple[FilmDraft, ...]
    rejected: tuple[Rejected, ...]
    without_memory: tuple[str, ...]
    """SOP Instance UIDs of films the accelerator had no room for."""


def draft(films: "Sequence[Film]", sights: "Sequence[Sight | ModelError]", eye: "Eye") -> Drafted:
    """Conclude on every film; a film the network cannot read is rejected with its reason."""
    drafts: list[FilmDraft] = []
    rejected: list[Rejected] = []
    without_memory: list[str] = []
    for film, sight in zip(films, sights, strict=True):
        if isinstance(sight, GpuOutOfMemory):
            without_memory.append(film.sop_instance_uid)
            continue
        outcome = _conclude(film, sight, eye)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            drafts.append(outcome)
    return Drafted(tuple(drafts), tuple(rejected), tuple(without_memory))


def without_the_rest(drafted: Drafted) -> Drafted:
    """Return the drafts that could be made, marked PARTIAL, the other films with their reason."""
    partial = tuple(
        dataclasses.replace(
            one,
            analysis=dataclasses.replace(
                one.analysis, partial_reason=one.analysis.partial_reason or NO_MEMORY
            ),
        )
        for one in drafted.drafts
    )
    words = failures.treatment(GpuOutOfMemory()).words
    missing = tuple(Rejected(uid, "NO_MEMORY", words) for uid in drafted.without_memory)
    return Drafted(partial, (*drafted.rejected, *missing), ())


def _conclude(film: "Film", sight: "Sight | ModelError", eye: "Eye") -> FilmDraft | Rejected:
    if isinstance(sight, ModelError):
        words = failures.treatment(sight).words
        return Rejected(film.sop_instance_uid, type(sight).__name__, words)
    outcome: Analysis | OutOfScope = pipeline.conclude(film.image, sight, eye)
    if isinstance(outcome, OutOfScope):
        return Rejected(film.sop_instance_uid, outcome.reason.name, outcome.words)
    return FilmDraft(film.source, film.transfer_syntax_uid, outcome, film.remarks)
