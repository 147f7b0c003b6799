"""The gates in the order in which they are passed; docs/gates.md is this table in words."""

from typing import TYPE_CHECKING

from models.gates import findings as on_findings
from models.gates import words as on_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.gates.words import Draft
    from models.report.looked import Looked
    from models.values import Finding, Withheld

    FindingGate = Callable[
        [Sequence[Finding], Looked], tuple[tuple[Finding, ...], tuple[Withheld, ...]]
    ]
    WordGate = Callable[[Draft, Looked], tuple[Draft, tuple[Withheld, ...]]]

FINDING_GATES: "tuple[FindingGate, ...]" = (
    on_findings.grounding,
    on_findings.ontology,
    on_findings.laterality,
    on_findings.measurement,
    on_findings.confidence,
)

WORD_GATES: "tuple[WordGate, ...]" = (
    on_words.grounding,
    on_words.laterality,
    on_words.priors,
    on_words.faithfulness,
)


def pass_findings(
    findings: "Sequence[Finding]",
    looked: "Looked",
    gates: "Sequence[FindingGate]" = FINDING_GATES,
) -> "tuple[tuple[Finding, ...], tuple[Withheld, ...]]":
    """Take findings through every gate; each line held back names its gate."""
    kept = tuple(findings)
    lines: list[Withheld] = []
    for gate in gates:
        kept, held = gate(kept, looked)
        lines += held
    return kept, tuple(lines)


def pass_words(
    draft: "Draft", looked: "Looked", gates: "Sequence[WordGate]" = WORD_GATES
) -> "tuple[Draft, tuple[Withheld, ...]]":
    """Take a draft through every gate; each line held back names its gate."""
    lines: list[Withheld] = []
    for gate in gates:
        draft, held = gate(draft, looked)
        lines += held
    return draft, tuple(lines)
