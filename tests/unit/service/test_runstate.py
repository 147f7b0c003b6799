import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path

from service import runstate
from service.processes import identify
from service.runstate import PartState, PartStatus, Phase, RunState


def a_state() -> RunState:
    identity = identify(os.getpid())
    assert identity is not None
    now = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
    part = PartStatus("listen", PartState.BACKING_OFF, identity, now, 3, "ended by SIGKILL")
    parts = (part, PartStatus("web"))
    return RunState("id", identity, now, Phase.RUNNING, parts, (("Web", "http://h:1/"),), "")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    runstate.write(tmp_path, a_state())
    assert runstate.read(tmp_path) == a_state()


def test_a_state_is_live_only_while_exactly_its_process_runs() -> None:
    state = a_state()
    assert state.is_live
    earlier = dataclasses.replace(state.supervisor, start_ticks=state.supervisor.start_ticks - 1)
    assert not dataclasses.replace(state, supervisor=earlier).is_live
    other_boot = dataclasses.replace(state.supervisor, boot_id="another")
    assert not dataclasses.replace(state, supervisor=other_boot).is_live


def test_a_file_that_is_missing_or_damaged_is_no_state(tmp_path: Path) -> None:
    assert runstate.read(tmp_path) is None
    (runstate.run_folder(tmp_path) / runstate.FILE).write_text('{"phase": "running"')
    assert runstate.read(tmp_path) is None
    (runstate.run_folder(tmp_path) / runstate.FILE).write_text('{"phase": "running"}')
    assert runstate.read(tmp_path) is None


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    with runstate.sole(tmp_path) as first:
        assert first
        with runstate.sole(tmp_path) as second:
            assert not second
    with runstate.sole(tmp_path) as again:
        assert again
