"""The check of the order, on traces of a few lines: each rule is broken once."""

import hashlib
import json
import struct

import pytest

from scripts.durability import order, strace
from scripts.durability.order import Rule

UID = "1.2.3"
HOME = "/data"
DIGEST = hashlib.sha256(UID.encode()).hexdigest()[:32]
INCOMING = f"{HOME}/spool/incoming/x.dcm"
STUDY = f"{HOME}/spool/objects/aa/study"
FINAL = f"{STUDY}/{DIGEST}-0123456789abcdef.dcm"
HEADS = f"{HOME}/audit/heads.jsonl"
CHAIN = "ab" * 32
DATABASE = "TCP:[127.0.0.1:4000->127.0.0.1:5432]"
SENDER = "TCP:[127.0.0.1:11112->127.0.0.1:4001]"


def hexed(content: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in content)


def on_file(name: str, path: str, content: bytes | None = None) -> str:
    data = "" if content is None else f', "{hexed(content)}", {len(content)}'
    return f"7 {name}(5<{hexed(path.encode())}>{data}) = 0"


def on_socket(name: str, ends: str, content: bytes) -> str:
    return (
        f'7 {name}(6<{ends}>, "{hexed(content)}", {len(content)}, 0, NULL, NULL) = {len(content)}'
    )


def query(words: str) -> bytes:
    return b"Q" + struct.pack(">L", len(words) + 5) + words.encode() + b"\0"


def response(uid: str, status: int = 0) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    padded = uid.encode() + b"\0" * (len(uid) % 2)
    command = (
        element(0x0100, struct.pack("<H", 0x8001))
        + element(0x0900, struct.pack("<H", status))
        + element(0x1000, padded)
    )
    item = struct.pack(">LBB", len(command) + 2, 1, 3) + command
    return struct.pack(">BBL", 4, 0, len(item)) + item


MKDIR = f'7 mkdir("{hexed(STUDY.encode())}", 0700) = 0'
ABOVE = on_file("fsync", f"{HOME}/spool/objects/aa")
WRITE = on_file("write", INCOMING, b"pixels")
SYNC = on_file("fsync", INCOMING)
RENAME = f'7 rename("{hexed(INCOMING.encode())}", "{hexed(FINAL.encode())}") = 0'
FOLDER = on_file("fsync", STUDY)
BEGIN = on_socket("sendto", DATABASE, query("BEGIN"))
INSERT = on_socket(
    "sendto", DATABASE, f"INSERT {UID}\0 aa/study/{FINAL[len(STUDY) + 1 :]}".encode()
)
COMMIT = on_socket("sendto", DATABASE, query("COMMIT"))
COMMITTED = on_socket("recvfrom", DATABASE, b"C\0\0\0\x0bCOMMIT\0Z\0\0\0\5I")
ANSWER = on_socket("sendto", SENDER, response(UID))
GOOD = (
    *(MKDIR, ABOVE, WRITE, SYNC, RENAME, FOLDER),
    *(BEGIN, INSERT, COMMIT, COMMITTED, ANSWER),
)


def without(*lines: str) -> list[str]:
    return [line for line in GOOD if line not in lines]


def moved_behind(line: str, other: str) -> list[str]:
    rest = without(line)
    at = rest.index(other) + 1
    return [*rest[:at], line, *rest[at:]]


def rules(lines: list[str]) -> set[Rule]:
    return {violation.rule for violation in order.check(lines)}


def test_the_right_order_has_nothing_to_say_and_was_looked_at() -> None:
    checked = order.examine(GOOD)
    assert checked.violations == ()
    assert (checked.answers, checked.files) == (1, 1)


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (without(SYNC), Rule.FILE_NOT_SYNCED),
        (moved_behind(SYNC, RENAME), Rule.FILE_NOT_SYNCED),
        (moved_behind(WRITE, SYNC), Rule.FILE_NOT_SYNCED),
        (without(FOLDER), Rule.NAME_NOT_SYNCED),
        (moved_behind(FOLDER, COMMIT), Rule.NAME_NOT_SYNCED),
        (moved_behind(RENAME, COMMITTED), Rule.NAME_NOT_SYNCED),
        (without(ABOVE), Rule.FOLDER_NOT_SYNCED),
        (moved_behind(ABOVE, ANSWER), Rule.FOLDER_NOT_SYNCED),
        (without(COMMIT), Rule.ANSWERED_WITHOUT_COMMIT),
        (without(COMMITTED), Rule.ANSWERED_WITHOUT_COMMIT),
        (moved_behind(COMMITTED, ANSWER), Rule.ANSWERED_WITHOUT_COMMIT),
        (without(RENAME), Rule.ANSWERED_WITHOUT_FILE),
        ([*GOOD, ANSWER], Rule.ANSWERED_WITHOUT_COMMIT),
    ],
)
def test_each_step_out_of_its_place_is_found(lines: list[str], rule: Rule) -> None:
    assert rule in rules(lines)


def test_a_commit_that_became_a_rollback_answers_for_nothing() -> None:
    rolled = on_socket("recvfrom", DATABASE, b"C\0\0\0\x0dROLLBACK\0Z\0\0\0\5I")
    lines = [rolled if line == COMMITTED else line for line in GOOD]
    assert rules(lines) == {Rule.ANSWERED_WITHOUT_COMMIT}


def test_a_refusal_needs_no_commit() -> None:
    refused = on_socket("sendto", SENDER, response(UID, 0xA700))
    assert rules([WRITE, refused]) == set()


def test_a_longer_uid_is_another_instance() -> None:
    longer = on_socket("sendto", SENDER, response(f"{UID}4"))
    assert rules([*without(ANSWER), longer]) == {Rule.ANSWERED_WITHOUT_COMMIT}
    shorter = on_socket("sendto", SENDER, response("1.2"))
    assert rules([*without(ANSWER), shorter]) == {Rule.ANSWERED_WITHOUT_COMMIT}


def test_a_sync_that_ended_after_the_rename_began_is_too_late() -> None:
    begun, ended = SYNC.removesuffix(") = 0") + " <unfinished ...>", "7 <... fsync resumed>) = 0"
    other = RENAME.replace("7 rename", "8 rename")
    lines = [MKDIR, ABOVE, WRITE, begun, other, ended, *GOOD[GOOD.index(FOLDER) :]]
    assert rules(lines) == {Rule.FILE_NOT_SYNCED}


def test_a_sync_that_failed_is_none() -> None:
    failed = SYNC.replace("= 0", "= -1 EIO (Input/output error)")
    assert rules([failed if line == SYNC else line for line in GOOD]) == {Rule.FILE_NOT_SYNCED}


LINK = on_socket("sendto", DATABASE, f"INSERT {CHAIN}".encode())
HEAD = on_file("write", HEADS, json.dumps({"chain_sha256": CHAIN}).encode() + b"\n")
HEAD_SYNC = on_file("fsync", HEADS)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([BEGIN, LINK, COMMIT, COMMITTED, HEAD, HEAD_SYNC], set()),
        ([BEGIN, LINK, COMMIT, COMMITTED, HEAD], {Rule.HEAD_NOT_SYNCED}),
        (
            [BEGIN, LINK, COMMIT, COMMITTED, HEAD, BEGIN, COMMIT, COMMITTED, HEAD_SYNC],
            {Rule.HEAD_NOT_SYNCED},
        ),
        ([BEGIN, LINK, HEAD, HEAD_SYNC, COMMIT, COMMITTED], {Rule.HEAD_BEFORE_COMMIT}),
    ],
)
def test_a_head_is_written_after_its_links_and_before_anything_else(
    lines: list[str], found: set[Rule]
) -> None:
    assert rules(lines) == found


def test_lines_that_are_no_calls_are_passed_over() -> None:
    lines = ["", "7 +++ exited with 0 +++", "7 <... fsync resumed>) = 0", "nonsense"]
    assert list(strace.read(lines)) == []
    assert [call.begun for call in strace.read([SYNC, "", SYNC])] == [0, 2]
