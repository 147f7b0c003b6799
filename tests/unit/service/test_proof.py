from collections.abc import Iterator

import pytest

from service.heads import Head
from service.proof import Proof

LINKS = {position: f"link-{position}" for position in range(1, 10)}


def a_head(first: int, position: int, chain_sha256: str = "") -> Head:
    return Head(first, position, chain_sha256 or LINKS[position], "2026-03-01T12:00:00+00:00")


def torn() -> Iterator[Head]:
    yield a_head(1, 3)
    raise ValueError("heads.jsonl holds a line that is not a sealed head")


def codes(heads: Iterator[Head], behind: int = 0, last: int = 9) -> list[str]:
    """Walk over the links behind one; return what is found in the order it is found."""
    proof = Proof(heads, behind)
    found = [one for at in range(behind + 1, last + 1) for one in proof.compare(at, LINKS[at])]
    return [one.code for one in (*found, *proof.end(last))]


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([a_head(1, 4), a_head(5, 5), a_head(6, 9)], []),
        ([a_head(1, 4), a_head(5, 5), a_head(6, 7)], []),  # the sealer died before its head
        ([a_head(1, 4, "other"), a_head(5, 9)], ["CHAIN_REWRITTEN"]),
        ([a_head(1, 4), a_head(6, 9)], ["HEADS_GAP"]),
        ([a_head(5, 9), a_head(1, 4)], ["HEADS_GAP", "HEADS_GAP"]),
        ([a_head(1, 4), a_head(5, 3), a_head(4, 9)], ["HEADS_GAP"]),
        ([], ["HEADS_MISSING"]),
    ],
)
def test_each_head_is_compared_once_in_its_place(heads: list[Head], expected: list[str]) -> None:
    assert codes(iter(heads)) == expected


def test_more_proven_than_there_is_left_is_a_tail_cut() -> None:
    assert codes(iter([a_head(1, 4), a_head(5, 9)]), last=6) == ["TAIL_CUT"]


def test_a_line_that_is_no_head_ends_what_is_proven() -> None:
    proof = Proof(torn(), 0)
    found = [one.code for at in range(1, 10) for one in proof.compare(at, LINKS[at])]
    assert (found, proof.position) == (["HEADS_UNREADABLE"], 3)
    assert list(proof.end(9)) == []


def test_heads_in_front_of_the_mark_are_let_be_and_those_behind_are_looked_at() -> None:
    before = [a_head(1, 2, "other"), a_head(3, 5)]
    assert codes(iter([*before, a_head(6, 9)]), behind=5) == []
    assert codes(iter([*before, a_head(7, 9)]), behind=5) == ["HEADS_GAP"]
    assert codes(iter([a_head(3, 7), a_head(8, 9, "other")]), behind=5) == ["CHAIN_REWRITTEN"]
