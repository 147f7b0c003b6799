"""A RabbitMQ with quorum queues as the broker of a campaign, behind a line that can be cut."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import amqp

from scripts.faults.switch import Switch, Way
from service.celery_settings import GPU, PACS
from tests import rabbitmq


class Rabbit:
    """One node and the line that our processes reach it by."""

    def __init__(self, folder: Path) -> None:
        self.node = rabbitmq.RabbitMQ(folder)
        self.line = Switch(("127.0.0.1", self.node.port))

    @property
    def url(self) -> str:
        """Where our processes connect."""
        return self.node.url.replace(f":{self.node.port}/", f":{self.line.port}/")

    def wipe(self) -> None:
        """Delete both queues with what they hold; whoever needs one makes it again."""
        self._each(amqp.Channel.queue_delete)

    def silence(self) -> None:
        """Throw away every message that nobody has taken yet."""
        self._each(amqp.Channel.queue_purge)

    def kill(self) -> None:
        """End the node at once, and start it again as the service manager of a machine does."""
        self.node.kill()
        self.node.start()

    def heal(self) -> None:
        """Open the line."""
        self.line.set(Way.OPEN)

    def _each(self, act: Callable[[amqp.Channel, str], object]) -> None:
        for name in (GPU, PACS):
            # A queue that is not there is empty; asking for it ends the connection.
            with contextlib.suppress(OSError, amqp.AMQPError), self.node.connect() as link:
                act(link.channel(), name)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Rabbit]:
    """Run one; stopped at the end."""
    if not rabbitmq.is_installed():
        raise RuntimeError("rabbitmq-server is not installed: `make system`")
    rabbit = Rabbit(folder)
    rabbit.node.start()
    try:
        yield rabbit
    finally:
        rabbit.node.stop()
        rabbit.line.stop()
