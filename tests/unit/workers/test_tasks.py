import subprocess
import sys

import pytest
from celery import Celery

from models.errors import BundleMissing
from service.celery_settings import ANALYSE, DELIVER, ROUTES
from service.settings import Settings
from workers.tasks import Workshop, register

HEAVY = ("torch", "onnxruntime", "transformers")


class Shop(Workshop):
    """Counts instead of working."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.done: list[str] = []
        self.error: Exception | None = None

    def analyse(self) -> None:
        self.done.append("analyse")
        if self.error is not None:
            raise self.error

    def deliver(self) -> None:
        self.done.append("deliver")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def app(shop: Shop) -> Celery:
    made = Celery("test", set_as_current=False)
    register(made, shop)
    return made


def test_every_task_that_is_rung_for_is_registered(app: Celery) -> None:
    assert set(ROUTES) <= set(app.tasks)


def test_a_bell_runs_its_step(app: Celery, shop: Shop) -> None:
    app.tasks[ANALYSE].run("some-job")
    app.tasks[DELIVER].run("some-job")
    assert shop.done == ["analyse", "deliver"]


def test_an_error_ends_the_task_and_not_the_worker(app: Celery, shop: Shop) -> None:
    shop.error = BundleMissing("no bundle is called 'x'")
    app.tasks[ANALYSE].run("some-job")
    assert shop.done == ["analyse"]


def test_a_request_to_stop_reaches_celery(app: Celery, shop: Shop) -> None:
    def stop() -> None:
        raise SystemExit

    shop.analyse = stop  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        app.tasks[ANALYSE].run("some-job")


def test_the_parent_that_forks_loads_no_network_library() -> None:
    program = (
        "import sys, workers.app, workers.commands;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert answer.stdout.decode().strip() == "[]"
