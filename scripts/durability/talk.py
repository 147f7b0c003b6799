"""What was said on the connections of a trace: transactions of Postgres, answers to C-STORE."""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from scripts.durability.strace import Call

SENDS: Final = frozenset({"sendto", "sendmsg", "write", "writev"})
RECEIVES: Final = frozenset({"recvfrom", "recvmsg"})
# Simple queries and their completion (PostgreSQL protocol 3): type, length, text, NUL.
_BEGIN: Final = b"Q\0\0\0\x0aBEGIN\0"
COMMIT: Final = b"Q\0\0\0\x0bCOMMIT\0"
_COMMITTED: Final = b"C\0\0\0\x0bCOMMIT\0"
_P_DATA: Final = 0x04
_C_STORE_RSP: Final = 0x8001
_SUCCESS: Final = 0x0000


@dataclass(slots=True)
class Transaction:
    """What was sent between BEGIN and COMMIT; ``answered`` is None until Postgres said so."""

    said: bytes
    begun: int
    commit_begun: int = 0
    answered: int | None = None

    def names(self, text: str) -> bool:
        """Return whether a text was part of it, not merely the beginning of a longer number."""
        return re.search(re.escape(text.encode()) + rb"(?![0-9.])", self.said) is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """A C-STORE-RSP with success; ``begun`` is when its sending began."""

    sop_instance_uid: str
    begun: int


def transactions(calls: Iterable[Call]) -> list[Transaction]:
    """Return the transactions that Postgres said were committed, by the time of that answer."""
    open_ones: dict[str, Transaction] = {}
    done: list[Transaction] = []
    for call in calls:
        if not call.target.startswith("TCP") and not call.target.startswith("UNIX"):
            continue
        if call.name in SENDS:
            _sent(call, open_ones)
        elif call.name in RECEIVES and _COMMITTED in call.data:
            transaction = open_ones.pop(call.target, None)
            if transaction is not None and transaction.commit_begun:
                transaction.answered = call.ended
                done.append(transaction)
    return done


def _sent(call: Call, open_ones: dict[str, Transaction]) -> None:
    if _BEGIN in call.data:
        open_ones[call.target] = Transaction(b"", call.begun)
    transaction = open_ones.get(call.target)
    if transaction is not None:
        transaction.said += call.data
        if COMMIT in call.data:
            transaction.commit_begun = call.begun


def answers(calls: Iterable[Call]) -> list[Answer]:
    """Return the successes that were answered to C-STORE requests."""
    found = []
    for call in calls:
        if call.name in SENDS and call.target.startswith("TCP") and call.data[:1] == b"\x04":
            found += [Answer(uid, call.begun) for uid in _stored(call.data)]
    return found


def _stored(data: bytes) -> Iterator[str]:
    for command in _commands(data):
        elements = dict(_elements(command))
        field, status = elements.get(0x0100, b""), elements.get(0x0900, b"")
        if _number(field) == _C_STORE_RSP and _number(status) == _SUCCESS:
            yield elements.get(0x1000, b"").decode("ascii", "replace").rstrip("\0 ")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little") if value else -1


def _commands(data: bytes) -> Iterator[bytes]:
    """Yield the command fragments of P-DATA-TF PDUs (PS3.8 9.3.5)."""
    while len(data) > 6 and data[0] == _P_DATA:  # noqa: PLR2004 - type, reserved, length
        (length,) = struct.unpack(">L", data[2:6])
        body, data = data[6 : 6 + length], data[6 + length :]
        while len(body) > 6:  # noqa: PLR2004 - length, context, control header
            (size,) = struct.unpack(">L", body[:4])
            if body[5] & 1:
                yield body[6 : 4 + size]
            body = body[4 + size :]


def _elements(command: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and value of the elements of a command set (PS3.7 6.3.1)."""
    while len(command) >= 8:  # noqa: PLR2004 - tag and length
        group, number, length = struct.unpack("<HHL", command[:8])
        if group != 0:
            return
        yield number, command[8 : 8 + length]
        command = command[8 + length :]
