"""The ontology as data: the tables beside this file, read once into typed rows.

``aor.toml`` holds the tables of AOR (Anatomical Ontology-Guided Reasoning) word for word.
Everything else is ours: which region of AnatomiX an AOR object is, the hierarchy as far as AOR's
text does not state it, the sub-regions, auxiliary regions, Chinese names and codes. Each such row
says so (see docs/ontology.md).
"""

import csv
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

from models.vocabulary import AnatomicStructure, Observation, Quality, Side, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class AuxiliaryRegion(StrEnum):
    """Places the 36 regions lack, so that what is found there can be named; they have no box."""

    LEFT_CHEST_WALL = "left chest wall"
    RIGHT_CHEST_WALL = "right chest wall"
    LEFT_RIBS = "left ribs"
    RIGHT_RIBS = "right ribs"
    LEFT_SHOULDER = "left shoulder"
    RIGHT_SHOULDER = "right shoulder"
    LEFT_ARM = "left arm"
    RIGHT_ARM = "right arm"
    LEFT_BREAST = "left breast"
    RIGHT_BREAST = "right breast"
    LEFT_PLEURAL_SPACE = "left pleural space"
    RIGHT_PLEURAL_SPACE = "right pleural space"
    LEFT_SUBDIAPHRAGMATIC_SPACE = "left subdiaphragmatic space"
    RIGHT_SUBDIAPHRAGMATIC_SPACE = "right subdiaphragmatic space"
    NECK = "neck"
    STOMACH = "stomach"


Region: TypeAlias = AnatomicStructure | AuxiliaryRegion


class Basis(StrEnum):
    """Where a row of the hierarchy comes from: AOR's text, or our reading of a picture."""

    STATED = "stated"
    RECONSTRUCTED = "reconstructed"


class Guarded(StrEnum):
    """Kinds of finding that no rule on places may hide."""

    AIR = "air"
    FRACTURE = "fracture"
    TUBE_OR_DEVICE = "tube or device"


class ParentKind(StrEnum):
    """What a parent in the causal table is: a label that groups, or a diagnosis of its own."""

    CATEGORY = "category"
    DIAGNOSIS = "diagnosis"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept; ``needs_side`` when its side must be said by a modifier.

    ``certain`` means that the value and its meaning stand in PS3.16 and say exactly this. Others
    come from third-party tables and must be checked with a terminology server before use.
    """

    scheme: str
    value: str
    meaning: str
    certain: bool
    needs_side: bool


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region. ``aor`` and ``anatomix`` are the papers' names, None where they have none.

    ``row`` is the object of Table A4 that speaks for it; ``row_inherited`` when that is not its
    own row but the one of what it is part of (our choice). ``sub_region_of`` is the domain of
    MMRad-IVL-22K, reconstructed; None for what is no sub-region there.
    """

    region: Region
    side: Side | None
    chinese: str
    anatomix: str | None
    aor: str | None
    row: str
    row_inherited: bool
    parent: Region | None
    parent_basis: Basis | None
    sub_region_of: str | None
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One attribute of AOR; ``category`` is None for the five that only Tables A3, A4 use."""

    name: str
    category: str | None
    chinese: str
    guarded: Guarded | None
    as_parent: ParentKind | None
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class AssessedRow:
    """What the eye or a report states, and the attributes of AOR that mean the same."""

    chinese: str
    attributes: tuple[str, ...]
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Ontology:
    """All tables. ``causal`` is A3, child to parents; ``restrictive`` is A4, object to attributes.

    Attributes are spelt as in Table A2 everywhere ("PICC", where Table A4 prints "picc").
    """

    regions: "Mapping[Region, RegionRow]"
    attributes: "Mapping[str, AttributeRow]"
    signs: "Mapping[Sign, AssessedRow]"
    observations: "Mapping[Observation, AssessedRow]"
    qualities: "Mapping[Quality, AssessedRow]"
    objects: tuple[str, ...]
    causal: "Mapping[str, tuple[str, ...]]"
    restrictive: "Mapping[str, frozenset[str]]"


@cache
def ontology() -> Ontology:
    """Read the tables; the same value every time.

    Raises
    ------
    ValueError, KeyError
        If a table names something that no vocabulary has: a broken installation.
    """
    aor = tomllib.loads(_text("aor.toml"))
    codes = _codes()
    attributes = _attributes(aor["table_a2"]["attributes"], codes)
    spelt = {name.casefold(): name for name in attributes}
    assessed = [row for row in _rows("signs.csv") if row["kind"]]

    def of_kind(kind: str) -> "dict[str, AssessedRow]":
        return {row["name"]: _assessed(row, codes) for row in assessed if row["kind"] == kind}

    return Ontology(
        regions={row.region: row for row in _regions(codes)},
        attributes=attributes,
        signs={Sign(name): row for name, row in of_kind("sign").items()},
        observations={Observation(name): row for name, row in of_kind("observation").items()},
        qualities={Quality(name): row for name, row in of_kind("quality").items()},
        objects=tuple(aor["table_a2"]["objects"]),
        causal={child: tuple(parents) for child, parents in aor["table_a3"].items()},
        restrictive={
            place: frozenset(spelt[name.casefold()] for name in names)
            for place, names in aor["table_a4"].items()
        },
    )


def _text(name: str) -> str:
    return (files("models.ontology") / name).read_text(encoding="utf-8")


def _rows(name: str) -> "Iterable[dict[str, str]]":
    return csv.DictReader(_text(name).splitlines())


def _codes() -> "dict[str, tuple[Code, ...]]":
    found: dict[str, tuple[Code, ...]] = {}
    for row in _rows("codes.csv"):
        certain, sided = row["code_certain"] == "yes", row["needs_side"] == "yes"
        code = Code(row["scheme"], row["value"], row["meaning"], certain, sided)
        found[row["name"]] = (*found.get(row["name"], ()), code)
    return found


def _regions(codes: "Mapping[str, tuple[Code, ...]]") -> "Iterable[RegionRow]":
    for row in _rows("regions.csv"):
        basis = row["parent_basis"]
        yield RegionRow(
            region=region_named(row["region"]),
            side=Side(row["side"]) if row["side"] else None,
            chinese=row["chinese"],
            anatomix=row["anatomix"] or None,
            aor=row["aor"] or None,
            row=row["row"],
            row_inherited=row["row_inherited"] == "yes",
            parent=region_named(row["parent"]) if row["parent"] else None,
            parent_basis=Basis(basis) if basis else None,
            sub_region_of=row["sub_region_of"] or None,
            codes=codes.get(row["region"], ()),
        )


def region_named(name: str) -> Region:
    """Return the region of this name, one of the 36 or an auxiliary one.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name in set(AnatomicStructure):
        return AnatomicStructure(name)
    return AuxiliaryRegion(name)


def _attributes(
    categories: "Mapping[str, list[str]]", codes: "Mapping[str, tuple[Code, ...]]"
) -> "dict[str, AttributeRow]":
    category_of = {name: category for category, names in categories.items() for name in names}
    found = {}
    for row in _rows("attributes.csv"):
        name, guarded, parent = row["attribute"], row["never_hidden"], row["as_parent"]
        found[name] = AttributeRow(
            name,
            category_of.get(name),
            row["chinese"],
            Guarded(guarded) if guarded else None,
            ParentKind(parent) if parent else None,
            codes.get(name, ()),
        )
    return found


def _assessed(row: "dict[str, Any]", codes: "Mapping[str, tuple[Code, ...]]") -> AssessedRow:
    attributes = tuple(row["attributes"].split(";")) if row["attributes"] else ()
    return AssessedRow(row["chinese"], attributes, codes.get(row["name"], ()))
