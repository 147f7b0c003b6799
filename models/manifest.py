"""What ``bundle.toml`` must say; every fault is found and named, nothing is filled in or ignored.

The heads a network has are declared, and each head brings what it needs: its names, its limits,
its operating numbers. A declaration without its head is a fault as much as a head without its
declaration, and so is a key that nobody reads: it may be a misspelt one.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from models.vocabulary import AnatomicStructure, BundleUse, MaskName, Observation, Quality, Sign

MANIFEST: Final = "bundle.toml"
TEXTS: Final = ("name", "version", "role", "use", "architecture", "licence", "intended_use", "card")
TABLES: Final = (
    "input", "output", "thresholds", "files", "limits", "operating", "cardiothoracic",
)  # fmt: skip
OPTIONAL_TABLES: Final = ("sign_thresholds", "quality_thresholds")  # their heads ask for them
HEADS: Final = (
    "boxes", "embedding", "classes", "presence", "spread", "findings", "signs", "attributes",
    "masks", "region_masks", "scope", "view", "mirrored", "quality",
)  # fmt: skip
"""Every head this version knows; ``boxes`` is the only one a network must have."""
VOCABULARY: Final[dict[str, tuple[str, set[str]]]] = {
    "findings": ("observations", {*Observation}),
    "signs": ("signs", {*Sign}),
    "masks": ("masks", {*MaskName}),
    "quality": ("qualities", {*Quality}),
}
"""Head -> the list in ``[output]`` that names its outputs, and the words allowed there."""
OPERATING: Final = {
    "scope": ("scope_margin",),
    "spread": ("spread_limit", "spread_slope"),
    "mirrored": ("sides_sure", "sides_declared", "mirror_share"),
}
"""Head -> the numbers that the serving code needs to read it."""
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "input": ("side", "intensity"),
    "output": ("heads", "regions", "outlined", *(key for key, _ in VOCABULARY.values())),
    "cardiothoracic": ("bias", "sd"),
    "limits": ("sentences",),
}
"""Table -> all it may say, where that does not depend on the heads."""
RANGES: Final[dict[str, tuple[float, float]]] = {
    "spread_limit": (0.0, sys.float_info.max),
    "spread_slope": (0.0, sys.float_info.max),
    "sides_sure": (0.0, sys.float_info.max),
    "sides_declared": (0.0, sys.float_info.max),
    "mirror_share": (0.0, 1.0),
}
"""Where an operating number must lie; the others may be any finite number."""
DIGEST_LENGTH = 64


def faults(said: dict[str, Any]) -> list[str]:
    """Everything wrong with a manifest, in words."""
    found = [
        f"{key} is missing or not text"
        for key in TEXTS
        if not isinstance(said.get(key), str) or not said[key].strip()
    ]
    found += _surplus("", said, (*TEXTS, *TABLES, *OPTIONAL_TABLES))
    if isinstance(said.get("use"), str) and said["use"] not in set(BundleUse):
        found.append(f"use {said['use']!r} is none of {', '.join(BundleUse)}")
    missing = [key for key in TABLES if not isinstance(said.get(key), dict)]
    found += [f"[{key}] is missing" for key in missing]
    if missing:
        return found
    for table, keys in KEYS.items():
        found += _surplus(f"{table}.", said[table], keys)
    found += _input_faults(said["input"]) + _head_faults(said)
    found += _heart_faults(said["cardiothoracic"])
    if not _is_texts(said["limits"].get("sentences")):
        found.append("limits.sentences is not a list of sentences")
    return found + _file_faults(said["files"])


def _surplus(where: str, table: dict[str, Any], known: Collection[str]) -> list[str]:
    """Name the keys that nobody would read."""
    return [f"{where}{key} is not known" for key in table if key not in known]


def _input_faults(table: dict[str, Any]) -> list[str]:
    """Faults in what is said about the input."""
    found = []
    side = table.get("side")
    if not isinstance(side, int) or not is_number(side) or side <= 0:
        found.append("input.side is not a positive number of pixels")
    if not isinstance(table.get("intensity"), str):
        found.append("input.intensity is missing")
    return found


def _heart_faults(table: dict[str, Any]) -> list[str]:
    """Faults in the error of the cardiothoracic ratio: a spread of nothing would be certainty."""
    found = [
        f"cardiothoracic.{key} is missing or no number"
        for key in KEYS["cardiothoracic"]
        if not is_number(table.get(key))
    ]
    if is_number(table.get("sd")) and table["sd"] <= 0:
        found.append("cardiothoracic.sd is not above 0")
    return found


def _head_faults(said: dict[str, Any]) -> list[str]:
    """Faults in the declared heads, and in what each of them brings."""
    output = said["output"]
    heads = output.get("heads")
    if not _is_texts(heads) or "boxes" not in heads or len(set(heads)) != len(heads):
        return ["output.heads is not a list of different heads with boxes among them"]
    found = [f"output.heads: {name!r} is not known" for name in heads if name not in HEADS]
    regions = {*AnatomicStructure}
    found += _name_faults("output.regions", output.get("regions"), regions, declared=True)
    if "outlined" in output:
        outlines = "region_masks" in heads
        found += _name_faults("output.outlined", output["outlined"], regions, declared=outlines)
    if "attributes" in heads and "signs" not in heads:
        found.append("the head attributes needs the head signs")
    for head, (key, words) in VOCABULARY.items():
        found += _name_faults(f"output.{key}", output.get(key), words, declared=head in heads)
    found += _limit_faults("thresholds", said, output.get("observations"))
    found += _limit_faults("sign_thresholds", said, output.get("signs"))
    found += _limit_faults("quality_thresholds", said, output.get("qualities"))
    return found + _operating_faults(said["operating"], heads)


def _name_faults(what: str, names: object, words: set[str], *, declared: bool) -> list[str]:
    """Names are there if and only if their head is, known and each only once."""
    if not declared:
        return [f"{what} is given, but its head is not declared"] if names is not None else []
    if not isinstance(names, list) or not _is_texts(names) or not names:
        return [f"{what} is not a list of names"]
    strange = [name for name in names if name not in words]
    found = [f"{what}: {name!r} is not known" for name in strange]
    return found + ([f"{what}: a name comes twice"] if len(set(names)) != len(names) else [])


def _limit_faults(table: str, said: dict[str, Any], names: object) -> list[str]:
    """Return one pair of probabilities in order for each name, and none for anything else."""
    given = said.get(table, {})
    if not isinstance(given, dict):
        return [f"[{table}] is not a table"]
    wanted = names if isinstance(names, list) and _is_texts(names) else []
    found = [f"{table}: {name!r} is missing" for name in wanted if name not in given]
    return found + [
        f"{table}: {name!r} = {pair!r}"
        for name, pair in given.items()
        if name not in wanted or not _is_pair(pair)
    ]


def _operating_faults(given: dict[str, Any], heads: list[str]) -> list[str]:
    """Return the numbers that each head needs, as numbers, and no others."""
    needed = [key for head in heads for key in OPERATING.get(head, ())]
    found = [f"operating.{key} is missing" for key in needed if key not in given]
    for key, value in given.items():
        low, high = RANGES.get(key, (-sys.float_info.max, sys.float_info.max))
        if key not in needed:
            found.append(f"operating.{key} is not known, or its head is not declared")
        elif not is_number(value):
            found.append(f"operating.{key} is no number")
        elif not low <= value <= high:
            found.append(f"operating.{key} = {value!r} is out of its range")
    return found


def _file_faults(files: dict[str, Any]) -> list[str]:
    """Return a file's name is a plain name, its hash 64 hex digits."""
    found = [] if files else ["no file is declared"]
    for name, value in files.items():
        if Path(name).name != name or name in {"", ".", "..", MANIFEST}:
            found.append(f"file name {name!r} is not a plain name")
        if not (isinstance(value, str) and len(value) == DIGEST_LENGTH and _is_hex(value)):
            found.append(f"the hash of {name!r} is not a SHA-256")
    return found


def is_number(value: object) -> bool:
    """Whether TOML gave a number that a float can hold; nan, inf, true and false are none."""
    most = sys.float_info.max  # Python compares whole numbers of any length with it
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most


def _is_pair(pair: object) -> bool:
    """Two probabilities in order."""
    if not isinstance(pair, list) or len(pair) != 2 or not all(is_number(v) for v in pair):  # noqa: PLR2004
        return False
    return bool(0.0 <= pair[0] <= pair[1] <= 1.0)


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _is_hex(value: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in value)
