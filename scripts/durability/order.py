"""The order that makes an answer true, checked in a trace.

For a film: written, fsync of the file, rename, fsync of the folder (and of the parent of every
folder made for it), COMMIT sent and answered, then the C-STORE-RSP with success. For results: the
same up to the COMMIT that names the file. For a head of the audit trail: its links committed, then
written and fsynced before the next COMMIT of that thread.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from scripts.durability import strace, talk
from scripts.durability.strace import Call
from scripts.durability.talk import Answer, Transaction

HEADS: Final = "heads.jsonl"
_WRITES: Final = frozenset({"write", "writev", "pwrite64", "pwritev"})
_SYNCS: Final = frozenset({"fsync", "fdatasync"})
_NAMED_BY: Final = 3  # so many last parts of a path stand in the database
_UID_DIGITS: Final = 32  # of its hash, in a file's name; see dicom.spool
_FOR_EVER: Final = 1 << 62


class Rule(StrEnum):
    """What was not in order."""

    FILE_NOT_SYNCED = "renamed before its bytes were on the disk"
    NAME_NOT_SYNCED = "committed before its name was on the disk"
    FOLDER_NOT_SYNCED = "committed before a folder above it was on the disk"
    ANSWERED_WITHOUT_COMMIT = "success answered before the commit was"
    ANSWERED_WITHOUT_FILE = "success answered and no file was kept"
    HEAD_NOT_SYNCED = "went on before the head was on the disk"
    HEAD_BEFORE_COMMIT = "a head was written before its links were committed"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule, what it is about (a path or a SOP Instance UID), and where in the trace."""

    rule: Rule
    subject: str
    position: int

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"line {self.position + 1}: {self.subject}: {self.rule}"


@dataclass(frozen=True, slots=True)
class Checked:
    """How much was looked at: without it, no violation says nothing."""

    violations: tuple[Violation, ...]
    answers: int
    files: int
    heads: int


@dataclass(frozen=True, slots=True)
class _Rename:
    source: str
    target: str
    begun: int
    ended: int

    @property
    def as_stored(self) -> str:
        return "/".join(PurePosixPath(self.target).parts[-_NAMED_BY:])


def check(lines: Iterable[str]) -> list[Violation]:
    """Return what is not in order in a trace made by :func:`scripts.durability.strace.command`.

    One trace may hold a listener, workers and a sealer together.
    """
    return list(examine(lines).violations)


def examine(lines: Iterable[str]) -> Checked:
    """Return what is not in order, and how many answers, files and heads were looked at."""
    calls = [call for call in strace.read(lines) if call.result >= 0]
    disk = _Disk(calls)
    done = talk.transactions(calls)
    answered = talk.answers(calls)
    named = {rename for t in done for rename in disk.renames if t.names(rename.as_stored)}
    heads = [c for c in calls if c.name in _WRITES and c.target.endswith(HEADS)]
    found = [*_of_names(disk, done), *_of_answers(disk, done, answered)]
    found += [violation for head in heads for violation in _of_head(disk, done, head, calls)]
    unique = tuple(sorted(dict.fromkeys(found), key=lambda one: one.position))
    return Checked(unique, len(answered), len({one.target for one in named}), len(heads))


class _Disk:
    """When which bytes and names were written, and when they were brought to the disk."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.writes: dict[str, list[Call]] = {}
        self.syncs: dict[str, list[Call]] = {}
        self.made: dict[str, int] = {}
        self.renames: list[_Rename] = []
        for call in calls:
            if call.name in _WRITES:
                self.writes.setdefault(call.target, []).append(call)
            elif call.name in _SYNCS:
                self.syncs.setdefault(call.target, []).append(call)
            elif call.name in {"mkdir", "mkdirat"}:
                self.made[call.paths[0]] = call.ended
            elif call.name == "openat" and "O_CREAT" in call.words:
                self.made.setdefault(call.paths[0], call.ended)
            elif call.name.startswith("rename"):
                source, target = call.paths
                self.renames.append(_Rename(source, target, call.begun, call.ended))

    def is_synced(self, path: str, after: int, before: int) -> bool:
        """Return whether a file or folder was brought to the disk between two positions."""
        return any(s.begun > after and s.ended < before for s in self.syncs.get(path, ()))

    def faults(self, rename: _Rename, before: int) -> list[Violation]:
        """Return what a power cut at ``before`` could take of a renamed file."""
        found = []
        written = [w.ended for w in self.writes.get(rename.source, ()) if w.ended < rename.begun]
        if not self.is_synced(rename.source, max(written, default=-1), rename.begun):
            found.append(Violation(Rule.FILE_NOT_SYNCED, rename.target, rename.begun))
        if not self.is_synced(_parent(rename.target), rename.ended, before):
            found.append(Violation(Rule.NAME_NOT_SYNCED, rename.target, before))
        return found + self.folder_faults(_parent(rename.target), before)

    def folder_faults(self, folder: str, before: int) -> list[Violation]:
        """Return the folders, from this one upwards, made in the trace and not durable."""
        above = [folder, *map(str, PurePosixPath(folder).parents)]
        return [
            Violation(Rule.FOLDER_NOT_SYNCED, one, before)
            for one in above
            if self.made.get(one, _FOR_EVER) < before
            and not self.is_synced(_parent(one), self.made[one], before)
        ]


def _of_names(disk: _Disk, done: Iterable[Transaction]) -> Iterable[Violation]:
    """Whatever name a transaction holds is durable before its COMMIT is sent."""
    for transaction in done:
        named = {r.target: r.as_stored for r in disk.renames}
        for target, stored in named.items():
            if not transaction.names(stored):
                continue
            before = transaction.commit_begun
            ready = [r for r in disk.renames if r.target == target and r.ended < before]
            if not ready:
                yield Violation(Rule.NAME_NOT_SYNCED, target, before)
            else:
                yield from disk.faults(ready[-1], before)


def _of_answers(
    disk: _Disk, done: Iterable[Transaction], answered: Iterable[Answer]
) -> Iterable[Violation]:
    """Each success has a commit of its own behind it, and that a file."""
    free = list(done)
    for answer in answered:
        uid = answer.sop_instance_uid
        before = [t for t in free if (t.answered or _FOR_EVER) < answer.begun and t.names(uid)]
        if not before:
            yield Violation(Rule.ANSWERED_WITHOUT_COMMIT, uid, answer.begun)
            continue
        free.remove(before[0])
        digest = hashlib.sha256(uid.encode()).hexdigest()[:_UID_DIGITS]
        commit = before[0].commit_begun
        kept = [r for r in disk.renames if f"/{digest}-" in r.target and r.ended < commit]
        if not kept:
            yield Violation(Rule.ANSWERED_WITHOUT_FILE, uid, answer.begun)
        else:
            yield from disk.faults(kept[-1], commit)


def _of_head(
    disk: _Disk, done: Iterable[Transaction], head: Call, calls: Iterable[Call]
) -> Iterable[Violation]:
    chained = str(json.loads(head.data)["chain_sha256"])
    links = [t for t in done if t.names(chained) and (t.answered or _FOR_EVER) < head.begun]
    if not links:
        yield Violation(Rule.HEAD_BEFORE_COMMIT, head.target, head.begun)
    later = [c.begun for c in calls if c.thread == head.thread and _is_commit(c)]
    next_commit = min((begun for begun in later if begun > head.ended), default=_FOR_EVER)
    if not disk.is_synced(head.target, head.ended, next_commit):
        yield Violation(Rule.HEAD_NOT_SYNCED, head.target, head.begun)
    first = links[0].commit_begun if links else head.begun
    yield from disk.folder_faults(head.target, first)


def _is_commit(call: Call) -> bool:
    return call.name in talk.SENDS and talk.COMMIT in call.data


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)
