"""The promises of the demonstration, each read back from the archive and the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom import codes
from models import geometry
from models.vocabulary import Presence
from scripts.demo.archive import Held
from scripts.demo.films import DemoFilm, Outcome, Truth
from scripts.ledger import Standing

HIT_IOU = 0.3
PRESENT = codes.PRESENCES[Presence.PRESENT].meaning
EXPECTED_KINDS = {"text SR", "SEG"}
DELIVERED = "DELIVERED"
SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, whether it was kept, and what was seen."""

    promise: str
    kept: bool
    seen: str


def of_film(film: DemoFilm, standing: Standing | None, held: Held) -> tuple[Check, ...]:
    """Return every promise about one film."""
    if film.outcome is Outcome.TURNED_AWAY:
        return _turned_away(film, standing, held)
    checks = [_delivered(film, standing), _complete(film, held)]
    if film.outcome is Outcome.FINDING:
        checks += [_hit(film, truth, held) for truth in film.truths]
    if film.outcome is Outcome.NO_FINDING:
        checks.append(_nothing_present(film, held))
    return tuple(checks)


def best_iou(truth: Truth, held: Held) -> float:
    """Return the best overlap of a box of the same observation with the truth, 0..1."""
    wanted = codes.OBSERVATIONS[truth.observation].meaning
    return max(
        (geometry.overlap(one.box, truth.box) for one in held.boxes if one.observation == wanted),
        default=0.0,
    )


def drawn(films: Sequence[DemoFilm], pictures: Sequence[Path]) -> Check:
    """Return whether every draft has its picture on disk."""
    wanted = {film.key for film in films if film.outcome is not Outcome.TURNED_AWAY}
    there = {path.stem for path in pictures if path.is_file() and path.stat().st_size}
    return Check(
        "overlay pictures drawn", wanted <= there, f"{len(wanted & there)} of {len(wanted)}"
    )


def _delivered(film: DemoFilm, standing: Standing | None) -> Check:
    state = standing.job_state if standing else None
    reason = f" ({standing.reason})" if standing and standing.reason else ""
    return Check(f"{film.title}: delivered and proven", state == DELIVERED, f"{state}{reason}")


def _complete(film: DemoFilm, held: Held) -> Check:
    kept = set(held.kinds) >= EXPECTED_KINDS and bool(held.sentences) and not held.missing_in_query
    seen = f"{len(held.kinds)} objects, {len(held.sentences)} sentences"
    if held.missing_in_query:
        seen += f", {len(held.missing_in_query)} not found by C-FIND"
    return Check(f"{film.title}: draft read back from the archive", kept, seen)


def _hit(film: DemoFilm, truth: Truth, held: Held) -> Check:
    overlap = best_iou(truth, held)
    present = any(
        one.state == PRESENT and one.observation == codes.OBSERVATIONS[truth.observation].meaning
        for one in held.findings
    )
    return Check(
        f"{film.title}: {truth.observation} found where it is",
        present and overlap >= HIT_IOU,
        f"IoU {overlap:.2f} of the box in the SR with the truth (at least {HIT_IOU})",
    )


def _nothing_present(film: DemoFilm, held: Held) -> Check:
    false = [one.observation for one in held.findings if one.state == PRESENT]
    kept = bool(held.findings) and not false
    seen = f"PRESENT: {', '.join(false)}" if false else f"{len(held.findings)} states, none PRESENT"
    return Check(f"{film.title}: no false finding", kept, seen)


def _turned_away(film: DemoFilm, standing: Standing | None, held: Held) -> tuple[Check, ...]:
    state = standing.job_state if standing else None
    code = standing.reason_code if standing else ""
    return (
        Check(
            f"{film.title}: turned away for its own reason",
            state == SKIPPED and code in film.refusals,
            f"{state} {code}: {standing.reason if standing else 'unknown study'}",
        ),
        Check(
            f"{film.title}: nothing about it in the archive",
            not held.has_draft,
            f"{len(held.kinds)} objects",
        ),
    )
