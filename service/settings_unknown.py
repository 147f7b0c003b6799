"""Variables that look like settings and are none: a misspelt one is not heeded, and is told of."""

import difflib
import os
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from dicom import failpoints
from service.installation import EMBEDDED, SECRET_FILE
from service.parts import MARK, PART
from service.ready import READY_FILE
from service.settings import Settings
from service.settings_security import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

OURS = frozenset(("CARINA_CONFIG", EMBEDDED, MARK, PART, READY_FILE, failpoints.VARIABLE))
"""Read by us, and no settings."""

ALIKE = 0.8  # of 1: a slip of the finger, not another word


def not_heeded(environment: "Mapping[str, str]") -> dict[str, str]:
    """Return every ``CARINA_…`` that nobody reads, and the setting it resembles ("" if none)."""
    known = sorted(_known())
    strangers = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in OURS.union(known)
    )
    return {
        name: next(iter(difflib.get_close_matches(name.upper(), known, 1, ALIKE)), "")
        for name in strangers
    }


def in_words(environment: "Mapping[str, str]") -> tuple[str, ...]:
    """Return a line for each variable that nobody reads."""
    return tuple(
        f"{name}: no such setting" + (f", is {like} meant?" if like else "")
        for name, like in not_heeded(environment).items()
    )


def warn() -> None:
    """Log what this process was told and does not heed."""
    for name, like in not_heeded(os.environ).items():
        log.warning("variable_not_heeded", variable=name, resembles=like)


def _known() -> set[str]:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    secrets = {
        f"{PREFIX}{name.upper()}{SECRET_FILE}"
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr
    }
    return names | secrets
