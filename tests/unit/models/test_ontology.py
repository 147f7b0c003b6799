"""The tables say what AOR printed, and fit the vocabularies, the gate and the DICOM codes."""

import csv
import re
import tomllib
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import cast

import pytest
from pydicom.sr._concepts_dict import concepts

from dicom import codes
from models.ontology import places, relations
from models.ontology.tables import (
    AuxiliaryRegion,
    Basis,
    Guarded,
    ParentKind,
    Region,
    ontology,
    region_named,
)
from models.vocabulary import AnatomicStructure, Observation, Presence, Quality, Side, Sign

PRINTED = (Path(__file__).parent / "ontology_aor_tables.txt").read_text(encoding="utf-8")
AOR = tomllib.loads((files("models.ontology") / "aor.toml").read_text(encoding="utf-8"))
# PS3.16 as pydicom ships it: scheme, keyword, value, then meaning and context groups.
STANDARD = cast("dict[str, dict[str, dict[str, tuple[str, list[int]]]]]", concepts)
EVERYWHERE: tuple[Region, ...] = (*AnatomicStructure, *AuxiliaryRegion)
GUARDED_SIGNS = {
    Sign.PNEUMOTHORAX,
    Sign.SUBDIAPHRAGMATIC_AIR,
    Sign.RIB_FRACTURE,
    Sign.CLAVICLE_FRACTURE,
    Sign.ENDOTRACHEAL_TUBE,
    Sign.ENTERIC_TUBE,
    Sign.CHEST_TUBE,
    Sign.CENTRAL_VENOUS_LINE,
    Sign.PACEMAKER,
}


def printed_table(title: str) -> str:
    """The words of one printed table, without its headings."""
    text = PRINTED[PRINTED.index(f"Table {title}:") :].split("\n\n")[0]
    heads = r"Table A\d:[^\n]*\n(Values|Attribute \(Child\)[^\n]*|Object \(Parent\)[^\n]*)\n"
    return re.sub(heads, "", text)


def letters(text: str) -> str:
    """Without spaces and hyphens: the paper breaks words at the ends of its lines."""
    return re.sub(r"[\s-]", "", text)


def test_table_a2_is_what_aor_printed() -> None:
    table = AOR["table_a2"]
    listed = ", ".join(f"({name}) " + ", ".join(of) for name, of in table["attributes"].items())
    said = f"object {', '.join(table['objects'])} attribute {listed} category "
    said += ", ".join(sorted(table["attributes"]))
    assert letters(said) == letters(printed_table("A2"))


@pytest.mark.parametrize(("title", "key"), [("A3", "table_a3"), ("A4", "table_a4")])
def test_tables_a3_and_a4_are_what_aor_printed(title: str, key: str) -> None:
    said = " ".join(f"{head} {', '.join(listed)}" for head, listed in AOR[key].items())
    assert letters(said) == letters(printed_table(title))


def test_words_that_a_line_break_could_spoil_are_whole() -> None:
    words = {word for row in AOR["table_a4"].values() for word in row}
    printed = letters(PRINTED)
    assert all(letters(word) in printed for word in words)
    # Every word is spelt the same in all tables, so a wrongly joined one would stand alone.
    assert {word.casefold() for word in words} <= {
        name.casefold() for name in ontology().attributes
    }


def test_there_are_36_objects_and_68_attributes_in_five_categories() -> None:
    assert len(set(ontology().objects)) == 36
    categorised = [row for row in ontology().attributes.values() if row.category]
    assert len(categorised) == 68
    assert len({row.category for row in categorised}) == 5


def test_five_attributes_stand_only_outside_the_list_of_68() -> None:
    assert {name for name, row in ontology().attributes.items() if row.category is None} == {
        "bronchiectasis",
        "pigtail catheter",
        "skin fold",
        "aortic graft/repair",
        "diaphragmatic eventration (benign)",
    }


def test_every_region_has_a_row_and_a_chinese_name_of_its_own() -> None:
    rows = ontology().regions
    assert tuple(rows) == EVERYWHERE
    assert len({row.chinese for row in rows.values()}) == len(rows)
    assert all(re.fullmatch(r"[一-鿿]+", row.chinese) for row in rows.values())


def test_chinese_names_of_right_and_left_differ_by_the_side_only() -> None:
    for name, row in ontology().regions.items():
        if name.startswith("right ") and f"left {name[6:]}" in ontology().regions:
            other = ontology().regions[region_named(f"left {name[6:]}")]
            assert row.chinese.replace("右", "左", 1) == other.chinese


def test_anatomix_and_aor_share_29_names() -> None:
    rows = ontology().regions
    assert sum(row.anatomix is not None for row in rows.values()) == 36
    assert all(
        (row.anatomix is None) == (name in set(AuxiliaryRegion)) for name, row in rows.items()
    )
    assert sum(bool(rows[name].aor and rows[name].anatomix) for name in AnatomicStructure) == 29


def test_every_object_of_aor_is_exactly_one_region() -> None:
    named = [row.aor for row in ontology().regions.values() if row.aor]
    assert sorted(named) == sorted(ontology().objects)


def test_the_rows_of_table_a4_are_those_of_38_regions() -> None:
    own = [row for row in ontology().regions.values() if not row.row_inherited]
    assert len(own) == 38
    assert {row.row for row in own} == set(ontology().restrictive)


def test_seven_of_the_36_have_no_row_and_borrow_one_of_what_they_are_part_of() -> None:
    rows = ontology().regions
    borrowed = [name for name in AnatomicStructure if rows[name].row_inherited]
    assert len(borrowed) == 7
    for name in borrowed:
        assert rows[name].row in {rows[one].row for one in relations.ancestors(name)}


def test_the_hierarchy_ends_and_keeps_its_sides() -> None:
    rows = ontology().regions
    for name, row in rows.items():
        assert len(relations.ancestors(name)) < 5
        assert (row.parent is None) == (row.parent_basis is None)
        above = rows[row.parent].side if row.parent else None
        assert above in {None, row.side}


def test_what_aor_s_text_states_of_the_hierarchy_is_there_and_the_rest_is_marked() -> None:
    rows = ontology().regions
    assert set(relations.parts(AnatomicStructure.MEDIASTINUM)) >= {
        AnatomicStructure.UPPER_MEDIASTINUM,
        AnatomicStructure.CARDIAC_SILHOUETTE,
    }
    assert rows[AnatomicStructure.RIGHT_ATRIUM].parent_basis is Basis.STATED
    assert (
        rows[AnatomicStructure.CAVOATRIAL_JUNCTION].parent is AnatomicStructure.CARDIAC_SILHOUETTE
    )
    assert rows[AnatomicStructure.CARINA].parent_basis is Basis.RECONSTRUCTED
    # Nothing that AOR has no name for can have been stated by it.
    stated = [row for row in rows.values() if row.parent_basis is Basis.STATED]
    assert all(row.aor for row in stated)


def test_there_are_35_sub_regions_in_four_domains() -> None:
    domains = relations.sub_regions()
    assert sorted(domains) == ["bones", "lungs", "mediastinum", "others"]
    assert sum(map(len, domains.values())) == 35


def test_the_regions_shown_with_a_rationale_belong_to_its_domain() -> None:
    domains = relations.sub_regions()
    for group, members in places.GROUPS.items():
        # The mediastinum is a domain and a region at once.
        assert set(members) - {AnatomicStructure.MEDIASTINUM} <= set(domains[group])


def test_every_sign_observation_and_quality_is_mapped_to_attributes_that_exist() -> None:
    tables = ontology()
    assert set(tables.signs) == set(Sign)
    assert set(tables.observations) == set(Observation)
    assert set(tables.qualities) == set(Quality)
    stated = (*tables.signs.values(), *tables.observations.values())
    assert all(row.attributes and row.chinese for row in stated)
    every = (*stated, *tables.qualities.values())
    assert {name for row in every for name in row.attributes} <= set(tables.attributes)


def test_the_places_of_the_gate_are_those_written_by_hand_before() -> None:
    fields = {r for side in Side for r in (*places.ZONES[side], places.LUNG[side])}
    angles = {r for side in Side for r in places.on(side, "costophrenic angle")}
    hila = {r for side in Side for r in places.on(side, "hilar structures")}
    heart, middle = AnatomicStructure.CARDIAC_SILHOUETTE, AnatomicStructure.MEDIASTINUM
    upper = AnatomicStructure.UPPER_MEDIASTINUM
    expected = {
        Observation.ENLARGED_CARDIAC_SILHOUETTE: {heart, middle},
        Observation.PLEURAL_EFFUSION: fields | angles,
        Observation.LUNG_OPACITY: fields | angles | hila | {heart, middle, upper},
        Observation.MASS: fields | angles | hila,
    }
    assert dict(places.OCCURS_IN) == expected


def test_sides_are_told_by_names_except_for_chambers_and_borders_of_the_heart() -> None:
    assert places.SIDE_OF[AnatomicStructure.LEFT_UPPER_QUADRANT_OF_ABDOMEN] is Side.LEFT
    sided = {name for name in AnatomicStructure if name.split()[0] in set(Side)}
    assert sided - set(places.SIDE_OF) == {
        AnatomicStructure.RIGHT_ATRIUM,
        AnatomicStructure.RIGHT_CARDIAC_BORDER,
        AnatomicStructure.LEFT_CARDIAC_BORDER,
    }
    assert all(name.startswith(side.value) for name, side in places.SIDE_OF.items())


def test_a_place_outside_the_table_is_unusual() -> None:
    assert relations.unusual(Sign.ENTERIC_TUBE, AnatomicStructure.RIGHT_LUNG)
    assert not relations.unusual(Sign.ENTERIC_TUBE, AnatomicStructure.ABDOMEN)
    assert not relations.unusual(Sign.ENTERIC_TUBE, AuxiliaryRegion.STOMACH)
    assert relations.unusual(Sign.CLAVICLE_FRACTURE, AnatomicStructure.CARDIAC_SILHOUETTE)
    assert not relations.unusual(Sign.RIB_FRACTURE, AuxiliaryRegion.LEFT_RIBS)
    assert all(relations.unusual(Sign.RIB_FRACTURE, region) for region in AnatomicStructure)
    assert not relations.unusual(Observation.MASS, AnatomicStructure.LEFT_CARDIOPHRENIC_ANGLE)


def test_tubes_devices_air_and_fractures_are_guarded() -> None:
    assert {sign for sign in Sign if relations.guarded(sign)} == GUARDED_SIGNS
    rows = ontology().attributes.values()
    devices = {row.name for row in rows if row.category in {"device", "tubes and lines"}}
    guarded = {row.name for row in rows if row.guarded is Guarded.TUBE_OR_DEVICE}
    assert guarded == devices | {"pigtail catheter", "aortic graft/repair"}
    kinds = {Guarded.AIR: r"\bair$|pneumo(?!nia)", Guarded.FRACTURE: r"fracture"}
    for kind, pattern in kinds.items():
        named = {row.name for row in rows if re.search(pattern, row.name)}
        assert {row.name for row in rows if row.guarded is kind} == named


@pytest.mark.parametrize("sign", sorted(GUARDED_SIGNS))
def test_no_place_changes_the_state_of_a_tube_of_air_or_of_a_fracture(sign: Sign) -> None:
    for presence, region in product(Presence, EVERYWHERE):
        assert relations.weighed(sign, presence, [region]).presence is presence
        assert relations.weighed(sign, presence, EVERYWHERE).presence is presence
    flagged = relations.weighed(sign, Presence.PRESENT, EVERYWHERE).unusual
    assert set(flagged) == {region for region in EVERYWHERE if relations.unusual(sign, region)}
    assert flagged


def test_no_place_turns_anything_into_a_negative_or_into_silence() -> None:
    lowered = 0
    for stated, presence, region in product((*Sign, *Observation), Presence, EVERYWHERE):
        after = relations.weighed(stated, presence, [region]).presence
        lowered += after is not presence
        assert after is presence or (presence, after) == (Presence.PRESENT, Presence.UNCERTAIN)
    assert lowered


def test_the_gate_that_may_withhold_judges_no_tube_no_air_and_no_fracture() -> None:
    assert set(places.OCCURS_IN) == set(Observation)
    assert not any(relations.guarded(observation) for observation in Observation)


def test_categories_are_labels_and_never_a_new_diagnosis() -> None:
    assert relations.categories(Sign.ATELECTASIS) == ("lung opacity",)
    assert relations.categories(Sign.MASS) == ("lung opacity", "lung lesion")
    assert relations.categories(Sign.PNEUMOTHORAX) == ()
    kinds = {name: row.as_parent for name, row in ontology().attributes.items() if row.as_parent}
    assert set(kinds) == {parent for row in ontology().causal.values() for parent in row}
    added = {label for stated in (*Sign, *Observation) for label in relations.categories(stated)}
    assert {kinds[label] for label in added} == {ParentKind.CATEGORY}
    assert not added & {"pleural effusion", "pneumothorax"}


def test_a_blunted_angle_does_not_make_an_effusion_whatever_the_table_says() -> None:
    blunted = "costophrenic angle blunting"
    assert "pleural effusion" in ontology().causal[blunted]
    assert relations.labels_of(blunted) == ("lung opacity",)
    assert relations.labels_of("hydropneumothorax") == ("lung opacity",)
    assert relations.labels_of("lobar/segmental collapse") == ("atelectasis", "lung opacity")


def test_certain_codes_stand_in_the_standard_with_this_meaning() -> None:
    rows = list(csv.DictReader((files("models.ontology") / "codes.csv").read_text().splitlines()))
    certain = [row for row in rows if row["code_certain"] == "yes"]
    assert len(certain) > 50
    for row in certain:
        meanings = [
            listed[row["value"]][0]
            for listed in STANDARD[row["scheme"]].values()
            if row["value"] in listed
        ]
        assert row["meaning"] in meanings


def test_every_code_belongs_to_something_and_is_marked() -> None:
    rows = list(csv.DictReader((files("models.ontology") / "codes.csv").read_text().splitlines()))
    named = {*EVERYWHERE, *ontology().attributes, *Sign, *Observation}
    assert {row["name"] for row in rows} <= {str(name) for name in named}
    assert (
        {row["code_certain"] for row in rows}
        == {row["needs_side"] for row in rows}
        == {"yes", "no"}
    )
    assert not [row for row in rows if row["scheme"] == "RADLEX" and row["code_certain"] == "yes"]


def test_the_codes_of_results_are_among_those_of_the_ontology() -> None:
    for region, code in codes.STRUCTURES.items():
        if code.scheme_designator == "SCT":
            assert code.value in {one.value for one in ontology().regions[region].codes}
    for observation, code in codes.OBSERVATIONS.items():
        if code.scheme_designator != codes.PRIVATE_SCHEME:
            assert code.value in {one.value for one in ontology().observations[observation].codes}


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="third lung"):
        region_named("third lung")
