"""How Celery is set up, for those who ring and those who work; one place, so that both agree.

Postgres is the truth and Celery the bell (design rule 1): a message lost costs the time until the
sweep rings again, a message too many costs one look at an empty queue.
"""

from typing import TYPE_CHECKING, Any, Final

from kombu import Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.settings import Settings

ANALYSE: Final = "carina.analyse"
DELIVER: Final = "carina.deliver"
GPU: Final = "gpu"
PACS: Final = "pacs"
ROUTES: "Final[Mapping[str, Mapping[str, str]]]" = {
    ANALYSE: {"queue": GPU},
    DELIVER: {"queue": PACS},
}

TASKS_PER_CHILD: Final = 500  # what leaks in foreign code is given back with the process
CHILD_START_S: Final = 120.0  # Celery's own 4 s kill a child that loads a large library
CONNECT_S: Final = 5.0
DELIVERY_LIMIT: Final = 5

_WORKERS: "Final[Mapping[str, Any]]" = {
    "task_acks_late": True,
    # Without it a task whose process was killed counts as done.
    "task_reject_on_worker_lost": True,
    "task_acks_on_failure_or_timeout": True,
    "worker_prefetch_multiplier": 1,
    "worker_pool": "prefork",
    "worker_concurrency": 1,
    "worker_max_tasks_per_child": TASKS_PER_CHILD,
    "worker_proc_alive_timeout": CHILD_START_S,
    # A blink of the broker must not cost a running job.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    # No pidbox and event queues: RabbitMQ 4.3 refuses them, and the rows say who is alive.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
}

_MESSAGES: "Final[Mapping[str, Any]]" = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_track_started": False,
    "task_default_queue": GPU,
    "task_create_missing_queues": False,
    "task_routes": dict(ROUTES),
    "enable_utc": True,
    "timezone": "UTC",
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": CONNECT_S,
}


def celery_settings(settings: "Settings") -> dict[str, Any]:
    """Return Celery's configuration for this site's broker, Redis/Valkey or RabbitMQ."""
    url = settings.broker_url.get_secret_value()
    is_amqp = url.partition("://")[0] in {"amqp", "amqps", "pyamqp"}
    return {
        **_MESSAGES,
        **_WORKERS,
        "broker_url": url,
        "task_soft_time_limit": settings.given_back_after_s,
        "task_time_limit": settings.hard_limit_s,
        "task_queues": [_queue(name, is_quorum=is_amqp) for name in (GPU, PACS)],
        "broker_transport_options": _amqp() if is_amqp else _redis(settings.hard_limit_s),
    }


def _queue(name: str, *, is_quorum: bool) -> Queue:
    if not is_quorum:
        return Queue(name, Exchange(name, type="direct"), routing_key=name)
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    exchange = Exchange(name, type="topic", durable=True)
    return Queue(name, exchange, routing_key=name, durable=True, queue_arguments=arguments)


def _amqp() -> dict[str, Any]:
    return {"confirm_publish": True, "confirm_timeout": CONNECT_S}


def _redis(hard_limit_s: float) -> dict[str, Any]:
    return {
        # Longer than any task: a message that comes back early only runs twice. All applications
        # on one broker must say the same.
        "visibility_timeout": 2 * hard_limit_s,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "health_check_interval": 10,
        "socket_keepalive": True,
        "socket_connect_timeout": CONNECT_S,
    }
