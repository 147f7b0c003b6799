"""dcmtk's ``storescu`` as the modality: a sender that is not ours."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicom.values import PacsNode
from scripts.installation import CommandFailed, system_program

SEND_LIMIT_S = 600.0
# Without it every object sent by dcmtk waits 40 ms for a delayed acknowledgement on the loopback.
NO_NAGLE = {"TCP_NODELAY": "1"}
_ANSWER = re.compile(r"Received Store Response \((.*)\)")


@dataclass(slots=True)
class Sent:
    """What one sender saw: seconds from each request's first byte to its answer, and failures."""

    response_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def send(
    files: Sequence[Path], to: PacsNode, calling_ae_title: str, options: Sequence[str] = ()
) -> Sent:
    """Send files over one association, waiting for each answer; ``options`` go to ``storescu``.

    Raises
    ------
    CommandFailed
        If ``storescu`` itself fails: no association, or cut off.
    """
    command = [
        *(system_program("storescu"), "--log-level", "info", "--no-halt"),
        *options,
        *("--aetitle", calling_ae_title, "--call", to.ae_title, to.host, str(to.port)),
        *map(str, files),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=os.environ | NO_NAGLE,
        text=True,
    ) as process:
        killer = threading.Timer(SEND_LIMIT_S, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            sent, tail = _read(process.stdout)
        finally:
            killer.cancel()
    if process.returncode != 0 and not sent.failures:
        raise CommandFailed(f"storescu to {to} failed: {' '.join(tail)}")
    return sent


def _read(lines: Iterable[str]) -> tuple[Sent, list[str]]:
    """Take the time of each request and its answer as ``storescu`` tells them."""
    sent = Sent()
    tail: list[str] = []
    started = time.perf_counter()
    for line in lines:
        now = time.perf_counter()
        tail = [*tail[-4:], line.strip()]
        if "Sending Store Request" in line:
            started = now
        elif (answer := _ANSWER.search(line)) is not None:
            sent.response_s.append(now - started)
            if answer.group(1) != "Success":
                sent.failures.append(answer.group(1))
    return sent, tail


def send_with(
    senders: int, files: Sequence[Path], to: PacsNode, options: Sequence[str] = ()
) -> tuple[float, Sent]:
    """Send files with several senders at once; return the seconds of the whole and what they saw.

    Raises
    ------
    CommandFailed
        If a sender fails.
    """
    shares = [list(files[number::senders]) for number in range(senders)]
    results: list[Sent | CommandFailed] = []

    def run(share: list[Path], number: int) -> None:
        try:
            results.append(send(share, to, f"BENCH{number}", options))
        except CommandFailed as error:
            results.append(error)

    threads = [
        threading.Thread(target=run, args=(share, number)) for number, share in enumerate(shares)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    total = Sent()
    for result in results:
        if isinstance(result, CommandFailed):
            raise result
        total.response_s += result.response_s
        total.failures += result.failures
    return seconds, total
