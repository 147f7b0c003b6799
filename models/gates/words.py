"""Gates on words and pictures, the last before a draft leaves.

They trust no template: each sentence and each step is judged as if a language model had written
it. A gate returns the draft without what it held back, and a line for each thing held back.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models import geometry
from models.grounding import share
from models.report import compose
from models.values import TextStep, VisualStep, Withheld

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.report.looked import Looked
    from models.values import Finding, GroundedReport, Rationale, ReportSentence

    Outcome = tuple["Draft", tuple[Withheld, ...]]
    Judge = Callable[[str, tuple[str, ...]], str | None]

_SIDE = re.compile(r"\b(right|left|bilateral|bilaterally)\b", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^)]*\)")  # reasons stand in brackets and may name any region
_COMPARISON = re.compile(
    r"\b(unchanged|stable|(in|de)creas\w*|new(ly)?|again|worse\w*|improv\w*|interval|previous\w*"
    r"|prior|compar\w*|persist\w*|resol(v|ut)\w*|progress\w*|no longer|since|follow-up)\b",
    re.IGNORECASE,
)
_BOX_IN_REGION_FROM = 0.02  # share of a step's box inside the regions it is said to show


@dataclass(frozen=True, slots=True)
class Draft:
    """What is about to leave: findings, their words, and the reasoning."""

    findings: "tuple[Finding, ...]"
    report: "GroundedReport"
    rationales: "tuple[Rationale, ...]"


def grounding(draft: Draft, looked: "Looked") -> "Outcome":
    """Withhold a sentence that points at no finding, or at one that does not exist."""
    del looked
    known = {finding.finding_id for finding in draft.findings}

    def judge(_: str, ids: tuple[str, ...]) -> str | None:
        grounded = bool(ids) and set(ids) <= known
        return None if grounded else "A sentence was withheld: it points at no finding."

    return _sentences_sorted_out("grounding", draft, judge)


def laterality(draft: Draft, looked: "Looked") -> "Outcome":
    """Withhold words that name a side which their findings do not have."""
    side_of = {finding.finding_id: finding.side for finding in draft.findings}

    def judge(text: str, ids: tuple[str, ...]) -> str | None:
        if not looked.technique.sides_known:
            return _SIDE_UNKNOWN if _SIDE.search(text) else None
        named = {word.lower() for word in _SIDE.findall(_BRACKETS.sub("", text))}
        stated = {side.value for name in ids if (side := side_of.get(name)) is not None}
        if len(stated) > 1:
            stated |= {"bilateral", "bilaterally"}
        return None if named <= stated else "A sentence was withheld: side conflict."

    draft, lines = _sentences_sorted_out("laterality", draft, judge)
    if looked.technique.sides_known:
        return draft, lines  # the words of a step belong to the sentences judged above
    kept, more = _steps_sorted_out("laterality", draft, lambda text: judge(text, ()))
    return kept, (*lines, *more)


_SIDE_UNKNOWN = "Words that name a side were withheld: the side is not known."


def priors(draft: Draft, looked: "Looked") -> "Outcome":
    """Take out words of comparison: no earlier film was read.

    The sentence is written afresh from its findings, so that nothing else of it is lost.
    """
    del looked
    by_id = {finding.finding_id: finding for finding in draft.findings}
    line = "Comparison wording was removed: no earlier film was read."
    lines: list[Withheld] = []

    def cleaned(sentences: "tuple[ReportSentence, ...]") -> "tuple[ReportSentence, ...]":
        kept: list[ReportSentence] = []
        for sentence in sentences:
            if not _COMPARISON.search(sentence.text):
                kept.append(sentence)
                continue
            lines.append(Withheld("priors", line, next(iter(sentence.finding_ids), None)))
            cited = [by_id[name] for name in sentence.finding_ids if name in by_id]
            afresh = compose.sentence_for(cited)
            kept += [afresh] if afresh is not None else []
        return tuple(kept)

    report = replace(
        draft.report,
        findings=cleaned(draft.report.findings),
        impression=cleaned(draft.report.impression),
    )
    kept, more = _steps_sorted_out(
        "priors",
        replace(draft, report=report),
        lambda text: line if _COMPARISON.search(text) else None,
    )
    return kept, (*lines, *more)


def faithfulness(draft: Draft, looked: "Looked") -> "Outcome":
    """Hold each picture to the film: its box lies on it and in its region.

    In pointer mode a step has no picture of its own: wherever it is shown, the film itself is cut
    at its box, so that nothing but the place can be wrong.
    """
    lines: list[Withheld] = []

    def keep(step: TextStep | VisualStep) -> bool:
        if isinstance(step, TextStep) or _shows_its_region(step, looked):
            return True
        lines.append(Withheld("faithfulness", "A picture was withheld: it does not fit the film."))
        return False

    rationales = tuple(
        replace(part, steps=tuple(step for step in part.steps if keep(step)))
        for part in draft.rationales
    )
    return replace(draft, rationales=rationales), tuple(lines)


def _shows_its_region(step: VisualStep, looked: "Looked") -> bool:
    image = looked.image
    if geometry.clip(step.box, image.rows, image.columns) != step.box:
        return False
    area = looked.regions.union(step.structures)
    return area is None or share(step.box, area) >= _BOX_IN_REGION_FROM


def _sentences_sorted_out(gate: str, draft: Draft, judge: "Judge") -> "Outcome":
    """Drop the sentences that a judgement gives a line for."""
    lines: list[Withheld] = []

    def kept(sentences: "tuple[ReportSentence, ...]") -> "tuple[ReportSentence, ...]":
        passed = []
        for sentence in sentences:
            line = judge(sentence.text, sentence.finding_ids)
            if line is None:
                passed.append(sentence)
            else:
                lines.append(Withheld(gate, line, next(iter(sentence.finding_ids), None)))
        return tuple(passed)

    report = replace(
        draft.report,
        findings=kept(draft.report.findings),
        impression=kept(draft.report.impression),
    )
    return replace(draft, report=report), tuple(lines)


def _steps_sorted_out(gate: str, draft: Draft, judge: "Callable[[str], str | None]") -> "Outcome":
    """Drop the steps of the rationale that a judgement gives a line for."""
    lines: list[Withheld] = []

    def keep(step: TextStep | VisualStep) -> bool:
        line = judge(step.text if isinstance(step, TextStep) else step.caption)
        if line is not None:
            lines.append(Withheld(gate, line))
        return line is None

    rationales = tuple(
        replace(part, steps=tuple(step for step in part.steps if keep(step)))
        for part in draft.rationales
    )
    return replace(draft, rationales=rationales), tuple(lines)
