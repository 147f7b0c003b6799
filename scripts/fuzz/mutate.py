"""Damage bytes the way lines, disks and attackers do; the same seed gives the same damage."""

import random

LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
TEXTS = (b"../../../etc/passwd\0", b"/tmp/carina", b"\\..\\..\\", b"%s%n%x", b"\0" * 16, b"1.2..3")
EDITS_MAX = 6
LONGEST_REPEAT = 4096


def generator(seed: int, layer: str, number: int) -> random.Random:
    """Return the source of chance of one input."""
    return random.Random(f"{seed}:{layer}:{number}")  # noqa: S311  (to be repeated, not secret)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return ``data`` with one to six edits; it may be shorter, longer or, seldom, the same."""
    edited = bytearray(data)
    for _ in range(chance.randint(1, EDITS_MAX)):
        if not edited:
            return bytes(edited)
        chance.choice(_EDITS)(edited, chance)
    return bytes(edited)


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    piece = chance.randbytes(chance.randint(1, 16))
    data[start : start + len(piece)] = piece


def _length(data: bytearray, chance: random.Random) -> None:
    """Put a length that lies where a length may stand."""
    start = chance.randrange(len(data))
    width = chance.choice((2, 4))
    value = (chance.choice(LENGTHS) & (256**width - 1)).to_bytes(width, "little")
    data[start : start + width] = value if chance.random() < 0.5 else value[::-1]  # noqa: PLR2004


def _text(data: bytearray, chance: random.Random) -> None:
    start, piece = chance.randrange(len(data)), chance.choice(TEXTS)
    data[start : start + len(piece)] = piece


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _drop(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 64)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    piece = bytes(data[start : start + chance.randint(1, 64)])
    times = min(chance.choice((1, 2, 16, 256)), LONGEST_REPEAT // max(1, len(piece)))
    data[start:start] = piece * times


# A cut destroys what the other edits did behind it, so it stands here once and they twice.
_EDITS = (_flip, _flip, _overwrite, _overwrite, _length, _length, _text, _drop, _repeat, _cut)
