import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rows import an_instance

from dicom.values import Origin, Peer, ReceivedInstance
from service import lane_rules
from service.errors import SettingsInvalid
from service.lane_rules import LaneRules
from service.values import Lane

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = """
[[rule]]
name = "resuscitation"
lane = "stat"
station_name = "RESUS?"

[[rule]]
name = "emergency department"
lane = "urgent"
institutional_department_name = ["*emergency*", "ED"]
modality = ["CR", "DX"]

[[rule]]
name = "archive migration"
lane = "backfill"
calling_ae_title = "MIGRATE*"
"""


def received(tmp_path: Path, caller: str = "MODALITY", **origin: object) -> ReceivedInstance:
    one = an_instance(tmp_path)
    header = replace(one.header, origin=Origin(**origin))  # type: ignore[arg-type]
    return replace(one, header=header, peer=Peer(caller, "CARINA", "127.0.0.1"))


def placed(tmp_path: Path, text: str, caller: str = "MODALITY", **origin: object) -> Lane:
    rules = LaneRules(rules=lane_rules.parse(tomllib.loads(text)))
    return rules.place(received(tmp_path, caller, **origin), NOW).lane


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    both = {"station_name": "Resus1", "institutional_department_name": "ED", "modality": "DX"}
    assert placed(tmp_path, SITE, **both) is Lane.STAT


def test_all_conditions_of_a_rule_must_hold(tmp_path: Path) -> None:
    department = {"institutional_department_name": "Main Emergency Dept"}
    assert placed(tmp_path, SITE, modality="CR", **department) is Lane.URGENT
    assert placed(tmp_path, SITE, modality="MG", **department) is Lane.ROUTINE


def test_the_calling_ae_title_is_matched_in_any_case(tmp_path: Path) -> None:
    assert placed(tmp_path, SITE, caller="migrate_2") is Lane.BACKFILL


def test_what_the_header_does_not_say_matches_nothing(tmp_path: Path) -> None:
    rule = '[[rule]]\nlane = "stat"\nstation_name = "*"\n'
    assert placed(tmp_path, rule) is Lane.ROUTINE
    assert placed(tmp_path, rule, station_name="ANY") is Lane.STAT


def test_without_rules_of_the_site_the_requested_priority_decides(tmp_path: Path) -> None:
    rules = LaneRules(rules=lane_rules.load(None))
    for said, lane in (("STAT", Lane.STAT), ("HIGH", Lane.URGENT), ("ROUTINE", Lane.ROUTINE)):
        one = received(tmp_path, requested_procedure_priority=said)
        assert rules.place(one, NOW).lane is lane


@pytest.mark.parametrize(
    ("day", "lane"),
    [
        (date(2026, 1, 29), Lane.BACKFILL),
        (date(2026, 1, 30), Lane.ROUTINE),
        (date(2030, 1, 1), Lane.ROUTINE),
        (None, Lane.ROUTINE),
    ],
)
def test_a_study_acquired_long_ago_is_backfill(
    tmp_path: Path, day: date | None, lane: Lane
) -> None:
    assert LaneRules().place(received(tmp_path, study_date=day), NOW).lane is lane
    never = LaneRules(backfill_after=None)
    assert never.place(received(tmp_path, study_date=day), NOW).lane is Lane.ROUTINE


def test_an_old_study_that_a_rule_calls_urgent_is_urgent(tmp_path: Path) -> None:
    old = {"study_date": date(2020, 1, 1), "requested_procedure_priority": "HIGH"}
    assert LaneRules().place(received(tmp_path, **old), NOW).lane is Lane.URGENT


def test_only_a_stat_study_collects_for_less_long() -> None:
    usual, short = timedelta(seconds=10), timedelta(seconds=2)
    rules = LaneRules(stat_quiet_period=short)
    assert rules.quiet_period(Lane.STAT, usual) == short
    assert rules.quiet_period(Lane.URGENT, usual) == usual
    assert LaneRules().quiet_period(Lane.STAT, usual) == usual
    assert rules.quiet_period(Lane.STAT, timedelta(0)) == timedelta(0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[[rule]]\nlane = "soon"\nmodality = "CR"', "lane must be one of stat, urgent"),
        ('[[rule]]\nlane = "stat"', "no condition"),
        ('[[rule]]\nlane = "stat"\nward = "3"', "unknown condition 'ward'"),
        ('[[rule]]\nlane = "stat"\nmodality = 3', "modality must be a text"),
        ('[[rule]]\nlane = "stat"\nmodality = [""]', "modality must be a text"),
        ('rule = "stat"', "rules are written"),
        ("[lanes]\nstat = 1", "unknown table 'lanes'"),
    ],
)
def test_a_fault_in_the_rules_is_named(text: str, fault: str) -> None:
    with pytest.raises(SettingsInvalid, match=fault):
        lane_rules.parse(tomllib.loads(text))


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        lane_rules.parse(tomllib.loads('[[rule]]\nlane = "soon"\n[[rule]]\nlane = "stat"'))
    assert len(caught.value.faults) == 3


def test_a_file_that_is_not_there_is_a_fault_of_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="CARINA_LANE_RULES"):
        lane_rules.load(tmp_path / "nothing.toml")
