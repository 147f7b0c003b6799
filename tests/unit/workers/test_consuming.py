from celery.utils.imports import symbol_by_name
from celery.worker.consumer import Consumer as Usual

from service.settings import Settings
from workers import app, consuming
from workers.tasks import Workshop


def test_a_worker_uses_the_consumer_without_delayed_delivery() -> None:
    settings = Settings()
    made = app.make_app(settings, Workshop(settings))
    assert symbol_by_name(made.conf.worker_consumer) is consuming.Consumer


def test_celery_still_has_the_step_and_every_other_is_kept_in_order() -> None:
    usual = list(Usual.Blueprint.default_steps)
    assert usual.count(consuming.LEFT_OUT) == 1
    usual.remove(consuming.LEFT_OUT)
    assert list(consuming.Consumer.Blueprint.default_steps) == usual
