"""The JSON of one film: complete, plain, and without anything of the header."""

import json

from films import EyeWithSigns, a_film

from models import pipeline, summary
from models.fakes import FakeEye, Planted
from models.opinions import SignOpinion
from models.values import Analysis
from models.vocabulary import (
    AnatomicStructure,
    Observation,
    Presence,
    ScopeReason,
    Sign,
    ViewPosition,
)


def test_a_draft_is_plain_json_with_all_its_parts() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.62)),))
    line = json.loads(json.dumps(summary.to_json(pipeline.analyse(a_film(), eye))))
    assert line["image"] == "film"
    assert (line["in_scope"], line["reason"]) == (True, None)
    assert (line["view"], line["mirrored"]) == ("PA", False)
    assert len(line["regions"]) == 36
    name, box, score = (line["regions"][0][key] for key in ("name", "box", "score"))
    assert name == "abdomen"
    assert len(box) == 4
    assert 0 <= score <= 1
    (mass,) = [f for f in line["findings"] if f["state"] == "PRESENT"]
    assert mass["region"] == "right lower lung zone"
    assert mass["side"] == "right"
    assert mass["box"] == mass["boxes"][0]
    assert mass["words"] == "Likely mass or nodule in the right lower lung zone."
    assert [part["group"] for part in line["rationale"]][-1] == "conclusion"
    assert line["sentences"][0]["finding_ids"] == ["N1"]
    assert line["models"][0]["use"] == "demo"


def test_every_finding_has_the_words_of_its_sentence() -> None:
    line = summary.to_json(pipeline.analyse(a_film(), FakeEye()))
    assert all(finding["words"] for finding in line["findings"])
    heart = line["findings"][0]
    assert heart["measurement"]["low"] < heart["measurement"]["value"]
    assert heart["box"] is None


def test_a_refused_film_has_its_reason_and_still_its_regions() -> None:
    eye = FakeEye(in_scope=0.2, reason=ScopeReason.NOT_FRONTAL, view_position=ViewPosition.LL)
    line = json.loads(json.dumps(summary.to_json(pipeline.analyse(a_film(), eye))))
    assert line["in_scope"] is False
    assert line["reason"] == "not a frontal view"
    assert "lateral" in line["words"]
    assert line["view"] == "LL"
    assert len(line["regions"]) == 36
    assert line["findings"] == []


def test_the_view_of_the_header_goes_before_the_impression_of_the_eye() -> None:
    film = a_film(view_position=ViewPosition.AP)
    line = summary.to_json(pipeline.analyse(film, FakeEye()))
    assert (line["view"], line["view_stated"]) == ("AP", True)


SIGN = SignOpinion(Sign.PNEUMOTHORAX, 0.91, Presence.PRESENT, AnatomicStructure.LEFT_APICAL_ZONE)


def test_regions_tell_their_uncertainty_and_the_signs_believed_there() -> None:
    line = json.loads(json.dumps(summary.to_json(analyse(EyeWithSigns(signs=(SIGN,))))))
    regions = {region["name"]: region for region in line["regions"]}
    assert regions["left apical zone"]["uncertainty"] == 4.0
    assert regions["left apical zone"]["attributes"] == [
        {"name": "pneumothorax", "state": "PRESENT", "probability": 0.75}
    ]
    assert regions["spine"]["attributes"] == []
    assert line["signs"] == [
        {
            "name": "pneumothorax",
            "state": "PRESENT",
            "probability": 0.91,
            "side": "left",
            "region": "left apical zone",
            "unusual_place": False,
        }
    ]


def test_a_network_without_those_heads_gives_null() -> None:
    line = summary.to_json(analyse(FakeEye()))
    assert {region["uncertainty"] for region in line["regions"]} == {None}
    assert all(region["attributes"] is None for region in line["regions"])


def test_no_region_with_a_side_has_signs_while_the_sides_are_in_doubt() -> None:
    line = summary.to_json(analyse(EyeWithSigns(signs=(SIGN,), mirrored=0.9)))
    regions = {region["name"]: region for region in line["regions"]}
    assert regions["left apical zone"]["attributes"] is None
    assert regions["spine"]["attributes"] == []
    assert (line["signs"][0]["side"], line["signs"][0]["region"]) == (None, None)


def analyse(eye: FakeEye) -> Analysis:
    result = pipeline.analyse(a_film(), eye)
    assert isinstance(result, Analysis)
    return result
