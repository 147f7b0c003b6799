"""Lines of ``strace -f -yy -xx`` read into calls that began and ended."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

TRACED: Final = (
    "write,writev,pwrite64,pwritev,sendto,sendmsg,recvfrom,recvmsg,"
    "openat,mkdir,mkdirat,rename,renameat,renameat2,fsync,fdatasync"
)
STRING_MAX: Final = 1 << 18  # a truncated statement could hide the name that is looked for

_SHOWN: Final = (
    *("-f", "-yy", "-xx", "-e", f"trace={TRACED}"),
    *("-e", "signal=none", "-s", str(STRING_MAX)),
)
_LINE = re.compile(r"(\d+)\s+(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_WHOLE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)", re.DOTALL)
_BEGUN = re.compile(r"(\w+)\((.*?) ?<unfinished \.\.\.>", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<(.*?)>[,) ]")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. ``begun`` and ``ended`` are positions in the trace.

    ``target`` is the file or the two ends of the connection that the descriptor stood for.
    """

    thread: int
    name: str
    target: str
    strings: tuple[bytes, ...]
    words: str
    result: int
    begun: int
    ended: int

    @property
    def data(self) -> bytes:
        """All bytes that were handed over."""
        return b"".join(self.strings)

    @property
    def paths(self) -> tuple[str, ...]:
        """The string arguments as names of files."""
        return tuple(one.decode(errors="replace") for one in self.strings)


def command(to: str) -> list[str]:
    """Return what to put before a program's arguments so that its trace is written to a file."""
    return ["strace", "--seccomp-bpf", *_SHOWN, "-o", to]


def attach(to: str, process: int) -> list[str]:
    """Return the command that writes the trace of a running process until it is told to end.

    Calls and transactions that were under way are not seen: attach while nothing goes on.
    """
    return ["strace", *_SHOWN, "-o", to, "-p", str(process)]


def read(lines: Iterable[str]) -> Iterator[Call]:
    """Yield the calls that ended, in the order of their ends."""
    begun: dict[int, tuple[int, str, str]] = {}
    for position, line in enumerate(lines):
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            continue
        thread, words = int(found[1]), found[2]
        if unfinished := _BEGUN.match(words):
            begun[thread] = (position, unfinished[1], unfinished[2])
            continue
        if resumed := _RESUMED.match(words):
            if thread not in begun:
                continue  # it was attached to in the middle of this call
            start, name, first = begun.pop(thread)
            words = f"{name}({first}{resumed[2]}"
        else:
            start = position
        whole = _WHOLE.match(words)
        if whole is not None and whole[3] != "?":
            yield _call(thread, (start, position), whole)


def _call(thread: int, when: tuple[int, int], whole: "re.Match[str]") -> Call:
    arguments = whole[2]
    descriptor = _DESCRIPTOR.match(arguments + ")")
    strings = tuple(_bytes(one) for one in _STRING.findall(arguments))
    target = "" if descriptor is None else _HEX.sub(_text, descriptor[2])
    plain = _STRING.sub("", arguments)
    return Call(thread, whole[1], target, strings, plain, int(whole[3]), *when)


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped: "re.Match[str]") -> str:
    return _bytes(escaped[0]).decode(errors="replace")
