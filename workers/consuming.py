"""Celery's consumer without its native delayed delivery, which Carina has no use for.

On RabbitMQ that step declares a queue of its own for every power of two seconds, then tries again
and again to bind queues that another worker serves: on a busy machine a worker began 18 s later.
Nothing here is ever sent with a delay; what is due later is a row in the database.
"""

from celery.worker.consumer import Consumer as Usual

LEFT_OUT = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(Usual):
    """Celery's own, but for one step."""

    class Blueprint(Usual.Blueprint):  # type: ignore[misc, valid-type]
        """The steps in their order."""

        default_steps = tuple(one for one in Usual.Blueprint.default_steps if one != LEFT_OUT)
