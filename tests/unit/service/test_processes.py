import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service import processes
from service.parts import MARK, PART
from service.processes import Handle, Program, identify, is_alive, spawn, wait_until
from service.takeover import end_all, left_behind

LIMIT_S = 20.0
SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")
IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)
"""
STUBBORN = (sys.executable, "-c", IGNORES)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    child = spawn(Program(SLEEPS, tmp_path / "log", {}))
    identity = identify(child.pid)
    assert identity is not None
    handle = Handle.of(identity)
    assert handle is not None
    handle.kill()
    handle.close()
    assert Path(f"/proc/{child.pid}").exists(), "nobody has waited for it yet"
    assert not is_alive(identity)
    child.wait()


def test_one_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn(Program(STUBBORN, log, {}))
    assert wait_until(lambda: log.read_bytes() == b"1\n", LIMIT_S)
    identity = identify(child.pid)
    assert identity is not None
    handle = Handle.of(identity)
    assert handle is not None
    assert handle.end(signal.SIGTERM, 0.2) is False
    handle.close()
    assert child.wait() == -signal.SIGKILL


def test_a_reused_number_is_never_taken_hold_of() -> None:
    here = identify(os.getpid())
    assert here is not None
    other = processes.ProcessIdentity(here.pid, here.start_ticks - 1, here.boot_id)
    assert Handle.of(other) is None


def test_secrets_are_in_the_environment_and_not_shown(tmp_path: Path) -> None:
    program = Program(SLEEPS, tmp_path / "log", {"SECRET": "s3cret"})
    assert "s3cret" not in repr(program)
    child = spawn(program)
    try:
        assert b"s3cret" in Path(f"/proc/{child.pid}/environ").read_bytes()
        assert b"s3cret" not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
        assert os.getsid(child.pid) == child.pid, "a session of its own"
    finally:
        child.kill()
        child.wait()


def test_children_that_inherit_the_mark_are_found_and_others_are_not(tmp_path: Path) -> None:
    marks = {MARK: "one-installation", PART: "work", "PATH": os.defpath}
    forks = (sys.executable, "-c", "import os, time; os.fork(); time.sleep(600)")
    child = spawn(Program(forks, tmp_path / "log", marks))
    other = spawn(Program(SLEEPS, tmp_path / "log", marks | {MARK: "another-installation"}))
    try:
        assert wait_until(lambda: len(list(left_behind("one-installation"))) == 2, LIMIT_S)
        assert list(left_behind("one-installation", keep=("work",))) == []
        assert list(left_behind("one-installation", only="listen")) == []
        end_all(list(left_behind("one-installation")), signal.SIGTERM, LIMIT_S)
        assert list(left_behind("one-installation")) == []
        assert other.poll() is None
    finally:
        for process in (child, other):
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start as another user")
def test_an_account_is_taken_on_with_its_death_tied_to_ours(tmp_path: Path) -> None:
    nobody = processes.Account("nobody", 65534, 65534)
    script = f"""
import os, sys
from pathlib import Path
from service.processes import Account, Program, spawn
who = Account({nobody.name!r}, {nobody.uid}, {nobody.gid})
child = spawn(Program(("/bin/sleep", "600"), Path(sys.argv[1]), {{}}, account=who))
print(child.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    with parent.stdout, parent.stdin:
        identity = identify(int(parent.stdout.readline()))
        assert identity is not None
        assert Path(f"/proc/{identity.pid}").stat().st_uid == nobody.uid
        handle = Handle.of(identity)
        assert handle is not None
        parent.kill()
        parent.wait()
        assert handle.wait(LIMIT_S)
        handle.close()
