"""Status codes of the Storage service class (PS3.4 Table B.2-1, PS3.7 annex C)."""

from enum import IntEnum

WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
"""Stored, with a remark (PS3.4 B.2.3)."""

SOP_CLASS_NOT_SUPPORTED = 0x0122
"""A status (PS3.7 annex C) and a failure reason (PS3.3 C.14.1.1): this kind is not taken."""

PENDING = frozenset({0xFF00, 0xFF01})


RETRY_LATER = frozenset({0x0110, 0x0213})
"""Processing failure, resource limitation (PS3.7 annex C.5)."""


DUPLICATE_SOP_INSTANCE = 0x0111
"""Some archives answer it to bytes they already hold (PS3.7 annex C.5.4)."""


class StoreStatus(IntEnum):
    """What Carina's listener answers to a C-STORE."""

    SUCCESS = 0x0000
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    UNEXPECTED = 0xC0FF  # of the same range: a fault of ours that has no better word
    NOT_AUTHORIZED = 0x0124


def is_stored(status: int | None) -> bool:
    """Return whether the archive says it has the object: success, warning, or already there.

    Carina never sends other bytes under the same UID, so what is there already is the object;
    that it really is, is proven by a query afterwards.
    """
    return status in {StoreStatus.SUCCESS, DUPLICATE_SOP_INSTANCE, *WARNINGS}


def is_transient(status: int) -> bool:
    """Return whether a failure may pass by itself: out of resources, processing failure.

    0x0110 (processing failure) is used by archives for anything, also for "busy", so it is
    tried again, within the limits of the caller.
    """
    return status & 0xFF00 == StoreStatus.OUT_OF_RESOURCES or status in RETRY_LATER
