import pytest
from pydantic import SecretStr

from service.celery_settings import ANALYSE, DELIVER, GPU, PACS, celery_settings
from service.settings import Settings


def configured(url: str, **changes: object) -> dict[str, object]:
    return celery_settings(Settings(broker_url=SecretStr(url), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["redis://h/0", "amqp://u:p@h//"])
def test_a_lost_worker_loses_no_message_and_a_blink_of_the_broker_no_task(url: str) -> None:
    found = configured(url)
    assert found["task_acks_late"]
    assert found["task_reject_on_worker_lost"]
    assert found["worker_prefetch_multiplier"] == 1
    assert found["worker_cancel_long_running_tasks_on_connection_loss"] is False
    assert found["worker_pool"] == "prefork"


@pytest.mark.parametrize("url", ["redis://h/0", "amqp://u:p@h//"])
def test_only_json_goes_over_the_wire_and_no_result_comes_back(url: str) -> None:
    found = configured(url)
    assert found["accept_content"] == ["json"]
    assert found["task_serializer"] == "json"
    assert found["task_ignore_result"]


def test_every_task_has_a_queue_that_is_declared() -> None:
    found = configured("redis://h/0")
    routes = {task: route["queue"] for task, route in found["task_routes"].items()}  # type: ignore[attr-defined]
    assert routes == {ANALYSE: GPU, DELIVER: PACS}
    assert {queue.name for queue in found["task_queues"]} == set(routes.values())  # type: ignore[attr-defined]


def test_a_redis_message_never_comes_back_while_its_task_runs() -> None:
    found = configured("redis://h/0", hard_limit_s=900)
    options = found["broker_transport_options"]
    assert options["visibility_timeout"] > found["task_time_limit"] == 900  # type: ignore[index]


def test_rabbitmq_gets_quorum_queues_with_a_delivery_limit() -> None:
    for queue in configured("amqp://u:p@h//")["task_queues"]:  # type: ignore[attr-defined]
        assert queue.queue_arguments["x-queue-type"] == "quorum"
        assert queue.queue_arguments["x-delivery-limit"] > 0
        assert queue.durable
