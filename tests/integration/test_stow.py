"""DICOMweb destinations: a real Orthanc, and a small origin server that misbehaves as told."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orthanc
import pytest
from kept_results import SOP_CLASSES, data_set_bytes
from ward import Ward

from dicom.values import ResultKind
from service.db.engine import Database
from service.values import JobState
from workers.context import WorkerContext
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR
MASK = ResultKind.FINDING_SEG


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@dataclass
class Origin:
    """What the server answers: a code, for some SOP classes a failure reason; what it was sent."""

    code: int = 200
    reasons: dict[str, int] = field(default_factory=dict)
    shows: bool = True
    url: str = ""
    posts: list[bytes] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    kept: list[str] = field(default_factory=list)

    def take(self, body: bytes) -> tuple[int, object]:
        self.posts.append(body)
        if self.code != 200:
            return self.code, {}
        uid = next(one for one in self.uids if one.encode() in body)
        reason = next((code for one, code in self.reasons.items() if one.encode() in body), None)
        item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
        if reason is None:
            self.kept.append(uid)
            return 200, {"00081199": {"vr": "SQ", "Value": [item]}}
        item["00081197"] = {"vr": "US", "Value": [reason]}
        return 409, {"00081198": {"vr": "SQ", "Value": [item]}}

    uids: list[str] = field(default_factory=list)

    def find(self) -> list[object]:
        shown = self.kept if self.shows else []
        return [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in shown]


@contextlib.contextmanager
def serving(origin: Origin) -> Iterator[Origin]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(*origin.take(body))

        def do_GET(self) -> None:
            self.answer(200, origin.find())

        def answer(self, code: int, content: object) -> None:
            origin.tokens.add(self.headers.get("Authorization", ""))
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    origin.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    try:
        yield origin
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def a_context(ward: Ward, url: str, **settings: object) -> WorkerContext:
    return ward.context(None, destinations=f"web={url}", **settings)


def test_results_reach_orthanc_by_dicomweb_unaltered_and_are_proven(
    ward: Ward, tmp_path: Path
) -> None:
    with orthanc.running(tmp_path / "orthanc") as pacs:
        job, kept = ward.an_encoded_job()
        deliver(a_context(ward, pacs.dicomweb_url))
        row = ward.job(job)
        assert (row.state, row.reason) == (JobState.DELIVERED, None)
        for result in kept:
            held = pacs.file(result.ref.sop_instance_uid)
            assert data_set_bytes(held) == data_set_bytes(result.path.read_bytes())
        missing, _ = ward.an_encoded_job(TEXT, study="1.2.99")
        pacs.stop()
        deliver(a_context(ward, pacs.dicomweb_url))
        assert ward.state(missing) is JobState.ENCODED  # nothing has left the house
        pacs.start()
        ward.clock.turn(ward.delay_s(missing))
        deliver(a_context(ward, pacs.dicomweb_url))
        assert ward.state(missing) is JobState.DELIVERED


@pytest.mark.parametrize("code", [401, 429, 500, 503])
def test_an_answer_that_may_pass_is_tried_again(ward: Ward, code: int) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    uids = [one.ref.sop_instance_uid for one in kept]
    with serving(Origin(code=code, uids=uids)) as origin:
        deliver(a_context(ward, origin.url))
        assert ward.state(job) is JobState.SENDING
        origin.code = 200
        ward.clock.turn(ward.delay_s(job))
        deliver(a_context(ward, origin.url))
    assert ward.state(job) is JobState.DELIVERED
    assert kept[0].path.read_bytes() in origin.posts[-1]


@pytest.mark.parametrize(
    ("origin", "code", "words"),
    [
        (Origin(code=400), "STATUS_C000", "text: the archive answered 0xC000 (HTTP 400)"),
        (
            Origin(reasons={SOP_CLASSES[TEXT]: 0xA900}),
            "STATUS_A900",
            "text: the archive answered 0xA900",
        ),
    ],
)
def test_a_refusal_is_a_dead_letter_with_its_cause(
    ward: Ward, origin: Origin, code: str, words: str
) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    origin.uids = [one.ref.sop_instance_uid for one in kept]
    with serving(origin):
        deliver(a_context(ward, origin.url))
    row = ward.job(job)
    assert (row.state, row.reason_code, row.reason) == (JobState.FAILED, code, words)


def test_a_kind_that_is_not_supported_is_left_out_and_named(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(MASK, TEXT)
    uids = [one.ref.sop_instance_uid for one in kept]
    with serving(Origin(reasons={SOP_CLASSES[MASK]: 0x0122}, uids=uids)) as origin:
        deliver(a_context(ward, origin.url))
    assert (ward.job(job).state, ward.job(job).reason) == (
        JobState.DELIVERED,
        "not taken: findings",
    )


def test_an_origin_server_that_lies_is_sent_everything_again(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    uids = [one.ref.sop_instance_uid for one in kept]
    with serving(Origin(shows=False, uids=uids)) as origin:
        context = a_context(ward, origin.url, proof_timeout_s=60)
        deliver(context)
        while ward.state(job) is JobState.SENT:
            ward.clock.turn(ward.delay_s(job))
            deliver(context)
        assert ward.state(job) is JobState.SENDING
        origin.shows = True
        ward.clock.turn(ward.delay_s(job))
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED
    assert len(origin.posts) == 2


def test_the_token_is_read_from_its_file_and_shown_to_nobody_else(
    ward: Ward, tmp_path: Path
) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    uids = [one.ref.sop_instance_uid for one in kept]
    with serving(Origin(uids=uids)) as origin:
        deliver(a_context(ward, f"{origin.url};token_file={tmp_path / 'token'}"))
    assert ward.state(job) is JobState.DELIVERED
    assert origin.tokens == {"Bearer secret"}


def test_an_origin_server_elsewhere_gets_nothing_by_default(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    deliver(a_context(ward, "https://pacs.hospital.example/dicom-web"))
    assert ward.state(job) is JobState.SHADOW
