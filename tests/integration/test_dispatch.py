import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import brokers
import pytest
from kombu import Connection
from pydantic import SecretStr

from service.celery_settings import ANALYSE, DELIVER, GPU, PACS
from service.dispatch import ENOUGH, Bell
from service.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with brokers.running(tmp_path / "valkey") as url:
        yield url


def a_bell(home: Path, url: str) -> Bell:
    return Bell(Settings(home=home, broker_url=SecretStr(url)))


def waiting(url: str, queue: str) -> int:
    with Connection(url) as connection:
        return connection.SimpleQueue(queue).qsize()


def test_without_a_broker_ringing_is_told_at_once_and_harmless(tmp_path: Path) -> None:
    bell = a_bell(tmp_path, "redis://127.0.0.1:1/0")
    bell.ring_analyse([UUID(int=1)])  # the first one loads the transport
    before = time.monotonic()
    assert bell.ring_analyse([UUID(int=1)]) is False
    assert time.monotonic() - before < 3
    assert bell.ring_deliver([]) is True
    bell.close()


def test_a_message_carries_the_id_of_a_job_and_nothing_else(tmp_path: Path, broker: str) -> None:
    bell = a_bell(tmp_path, broker)
    assert bell.ring_analyse([UUID(int=7)])
    assert bell.ring_deliver([UUID(int=8)])
    with Connection(broker) as connection:
        for queue, task, number in ((GPU, ANALYSE, 7), (PACS, DELIVER, 8)):
            message = connection.SimpleQueue(queue).get(timeout=10)
            assert message.payload[:2] == [[str(UUID(int=number))], {}]
            assert message.headers["task"] == task
    bell.close()


def test_bells_that_nobody_hears_do_not_pile_up(tmp_path: Path, broker: str) -> None:
    bell = a_bell(tmp_path, broker)
    for first in range(0, 10 * ENOUGH, ENOUGH // 4):
        assert bell.ring_deliver([UUID(int=first + one) for one in range(ENOUGH // 4)])
    assert waiting(broker, PACS) == ENOUGH
    assert bell.ring_analyse([UUID(int=1)])
    assert waiting(broker, GPU) == 1
    with Connection(broker) as connection:
        heard = connection.SimpleQueue(PACS).get(timeout=10)
        heard.ack()
    assert bell.ring_deliver([UUID(int=2), UUID(int=3)])
    assert waiting(broker, PACS) == ENOUGH
    bell.close()
