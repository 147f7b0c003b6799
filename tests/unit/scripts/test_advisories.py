"""The audit of requirements against a stand-in for the advisory database."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts import advisories
from scripts.advisories import Package

KNOWN_BAD = ("numpy", "GHSA-test")


@contextmanager
def database(answer: bytes | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            bad, number = KNOWN_BAD
            results = [
                {"vulns": [{"id": number}]} if one["package"]["name"] == bad else {}
                for one in asked
            ]
            body = json.dumps({"results": results}).encode() if answer is None else answer
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_pinned_version_is_asked_about_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text('Pillow==11.0 ; python_version > "3"\n    --hash=x==y\n# not==1\n')
    second.write_text("pillow==11.0 \\\n    --hash=sha256:0\nnumpy==2.1\n")
    assert advisories.pinned([first, second]) == (
        Package("numpy", "2.1"),
        Package("pillow", "11.0"),
    )


def test_our_own_lock_files_are_understood() -> None:
    names = {one.name for one in advisories.pinned(advisories.REQUIREMENTS.glob("*.txt"))}
    assert {"pydicom", "pynetdicom", "celery", "sqlalchemy", "torch"} <= names


def test_what_is_known_is_listed_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with database() as url:
        assert advisories.main(["--service", url]) == advisories.FOUND
    said = capsys.readouterr().out
    assert "GHSA-test" in said
    assert "numpy" in said


def test_packages_nothing_is_known_against_pass() -> None:
    with database() as url:
        assert advisories.advisories((Package("pillow", "11.0"),), url) == {}


@pytest.mark.parametrize("answer", [b"not json", b"{}", b'{"results": []}'])
def test_an_answer_that_makes_no_sense_counts_as_none(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with database(answer) as url:
        assert advisories.main(["--service", url]) == 0
        assert advisories.main(["--service", url, "--strict"]) == advisories.NOT_ASKED
    assert "NOT ASKED" in capsys.readouterr().out


def test_without_a_line_to_the_database_it_says_so_and_passes_unless_strict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nowhere = "http://127.0.0.1:9/"
    assert advisories.main(["--service", nowhere]) == 0
    assert "NOT ASKED" in capsys.readouterr().out
    assert advisories.main(["--service", nowhere, "--strict"]) == advisories.NOT_ASKED
