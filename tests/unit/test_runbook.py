"""Every alarm has its page, every metric in a rule exists, every command on a page is one."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import metrics
from service.checks import Check
from service.cli import COMMANDS
from service.destinations import Standing, Switch
from service.overview import AuditOverview, Overview
from service.pulse import ProcessSeen
from service.runstate import PartState, PartStatus
from service.status import Health, Status
from service.values import JobState, StudyState

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "carina.rules.yml"
RUNBOOK = ROOT / "docs" / "runbook"
NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
SECTIONS = [
    "What it means",
    "First look",
    "Likely causes",
    "Mend",
    "When to call for help",
]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def everything() -> Status:
    """Return a status in which every metric has a value."""
    held = Standing("pacs", "A@h:1", "auto", Switch.SUSPENDED, 1, 0, 1, 1, NOW, NOW, "", NOW, 2)
    return Status(
        looked_at=NOW,
        installation_id="abc",
        health=Health.DEGRADED,
        faults=(),
        parts=(PartStatus("listen", PartState.READY),),
        checks=tuple(Check(name, is_well=True, words="") for name in CHECKS),
        overview=Overview(
            studies={state.value: 1 for state in StudyState},
            jobs={state.value: 1 for state in JobState},
            audit=AuditOverview(oldest_unsealed_at=NOW),
            processes=(ProcessSeen("work@h:1", "work", NOW, NOW, is_silent=True),),
            destinations=(held,),
        ),
    )


CHECKS = ("database", "broker", "pacs", "disk", "kept")


def exposed(status: Status) -> set[str]:
    """Return every series as ``name{label="value"}``, and every name alone."""
    text = metrics.exposition(status).decode()
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    return {*lines, *(line.partition("{")[0] for line in lines)}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alarm_has_a_page_with_all_sections(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page == RUNBOOK / f"{rule['alert']}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_metric_and_label_of_a_rule_is_exposed(rule: dict[str, Any]) -> None:
    named = re.findall(r"carina_\w+(?:\{[^}]*\})?", rule["expr"])
    assert named
    assert set(named) <= exposed(everything())
    assert set(re.findall(r"carina_\w+", rule["expr"])) <= exposed(everything())


def test_every_page_has_its_alarm_and_its_line_in_the_list() -> None:
    pages = {page.stem for page in RUNBOOK.glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in rules()}
    index = (RUNBOOK / "README.md").read_text(encoding="utf-8")
    assert pages == set(re.findall(r"\[(\w+)\]\(\1\.md\)", index))


def test_every_command_on_a_page_is_one_of_ours() -> None:
    command = re.compile(r"(?:^    |`)carina ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
    for page in RUNBOOK.glob("*.md"):
        for first, second in command.findall(page.read_text(encoding="utf-8")):
            assert {first, f"{first} {second}"} & set(COMMANDS), f"{page.name}: {first} {second}"


def test_every_link_of_a_page_leads_somewhere() -> None:
    for page in RUNBOOK.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_process_that_was_replaced_raises_no_alarm() -> None:
    status = everything()
    alive = ProcessSeen("work@h:2", "work", NOW, NOW, is_silent=False)
    seen = replace(status.overview, processes=(*status.overview.processes, alive))
    told = metrics.exposition(replace(status, overview=seen)).decode()
    assert "carina_processes_missed{" not in told


def test_a_destination_that_rests_and_what_did_not_retire_are_told_by_name_alone() -> None:
    told = metrics.exposition(everything()).decode()
    assert 'carina_destination_resting{destination="pacs"} 1.0' in told
    assert 'carina_destination_not_retired{destination="pacs"} 2.0' in told


def test_ages_are_told_in_seconds() -> None:
    told = metrics.exposition(everything()).decode()
    assert 'carina_destination_oldest_seconds{destination="pacs"} 0.0' in told
    assert "carina_last_received_seconds 0.0" in told
