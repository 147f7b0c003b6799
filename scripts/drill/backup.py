"""A backup of one installation: the database with its write-ahead log, and the files beside it.

The log streams all the while, so that the database can be brought to its last moment; spool,
results and audit heads are copied in passes. Only programs that come with Postgres are used.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from scripts.installation import CommandFailed, Installation
from service import runstate
from service.embedded import binaries, credentials, place
from service.embedded.postgres import SUPERUSER

SLOT = "carina_backup"
FOLDERS = ("spool/objects", "results", "audit")
FILES = ("credentials.json", "carina.env")
COMMAND_S = 300.0
STREAM_S = 60.0
PARTIAL = ".partial"


class Backup:
    """One backup in ``folder``; start it, take passes of the files, stop it, restore from it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.base, self.log, self.files = folder / "base", folder / "wal", folder / "files"
        self._home = home
        self._stream: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to receive the log, then copy the cluster; everything goes on meanwhile.

        Raises
        ------
        CommandFailed
            If a program of Postgres says no.
        """
        self.log.mkdir(parents=True)
        receive = ("pg_receivewal", "-D", str(self.log), "--slot", SLOT)
        self._run(*receive, "--create-slot", "--if-not-exists")
        self._stream = subprocess.Popen(
            self._command(*receive, "--synchronous"),
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._run("pg_basebackup", "-D", str(self.base), "-c", "fast", "-X", "stream")

    def copy_files(self) -> int:
        """Copy what is new among the files, after the database; return how many there were.

        A file under its final name never changes, but for the audit heads, which only grow.
        """
        copied = 0
        for name in (*FOLDERS, *FILES):
            source = self._home / name
            paths = source.rglob("*") if source.is_dir() else [source]
            for path in sorted(one for one in paths if one.is_file()):
                target = self.files / path.relative_to(self._home)
                if target.exists() and target.stat().st_size == path.stat().st_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
                copied += 1
        return copied

    def stop(self) -> None:
        """Stop receiving the log."""
        if self._stream is not None:
            self._stream.terminate()
            try:
                self._stream.wait(STREAM_S)
            except subprocess.TimeoutExpired:
                self._stream.kill()
                self._stream.wait()
            self._stream = None

    def restore(self) -> None:
        """Put everything back into an empty folder; the next ``carina up`` replays the log.

        Until the replay has ended nobody gets a connection, so nothing begins on half the log.
        """
        self._home.mkdir(parents=True)
        self._home.chmod(0o711)
        shutil.copytree(self.files, self._home, dirs_exist_ok=True)
        for folder in ("spool", "results", "audit"):
            (self._home / folder).chmod(0o700)
        where = place.choose(self._home, self._known.installation_id)
        data = where.folder / "postgres"
        shutil.copytree(self.base, data)
        log = data / "restored_wal"
        shutil.copytree(self.log, log)
        for part in log.glob(f"*{PARTIAL}"):
            part.rename(part.with_suffix(""))
        (data / "recovery.signal").touch()
        with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.write(f'restore_command = \'cp "{log}/%f" "%p"\'\nhot_standby = off\n')
        data.chmod(0o700)
        for path in (data, *data.rglob("*")):
            where.hand_over(path)

    @property
    def _known(self) -> credentials.Credentials:
        folder = self._home if (self._home / credentials.FILE).exists() else self.files
        return credentials.load_or_make(folder)

    def _command(self, program: str, *arguments: str) -> list[str]:
        port = self._known.postgres_port
        reach = ("-h", "127.0.0.1", "-p", str(port), "-U", SUPERUSER, "--no-password")
        return [str(binaries.postgres().folder / program), *reach, *arguments]

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "PGPASSWORD": self._known.superuser_password}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            self._command(program, *arguments),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"{program}: {done.stderr.strip()[-500:]}")


def destroy(carina: Installation) -> None:
    """Kill every process of an installation at once and remove all that it kept."""
    known = credentials.load_or_make(carina.home)
    servers = place.choose(carina.home, known.installation_id).folder
    pids = [*_supervisor(carina.home), *carina.processes().values()]
    whole = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    for process in whole:
        for one in (process, *process.children(recursive=True)):
            if one.is_running():
                one.kill()
    psutil.wait_procs(whole, 30)
    time.sleep(1.0)  # those that the kernel ends with their parents
    shutil.rmtree(servers, ignore_errors=True)
    shutil.rmtree(carina.home)


def _supervisor(home: Path) -> list[int]:
    state = runstate.read(home)
    return [] if state is None else [state.supervisor.pid]
