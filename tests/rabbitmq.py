"""A real RabbitMQ for tests: one node with a name, ports, a folder and an ``epmd`` of its own.

Nothing of it is shared with a RabbitMQ that the machine runs as a service: an ``epmd`` on the usual
port would be. Use the context manager, or ``stop`` and ``start`` to restart one with what it held.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import amqp
import psutil

from scripts.installation import first_free_port

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 300.0
STOP_S = 30.0
ONE_THREAD = "+S 1:1 +sbwt none"  # Erlang's own threads would spin beside the tests


def is_installed() -> bool:
    """Return whether Debian's rabbitmq-server is there."""
    return PROGRAM.exists()


class RabbitMQ:
    """One node and the folder it keeps everything in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = first_free_port()
        self._epmd_port = first_free_port()
        self._distribution_port = first_free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where to connect: the usual guest, who may come from the loopback only."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it (again) and wait until it takes a connection."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins").write_text("[].\n", encoding="ascii")
        with (self.folder / "rabbitmq.log").open("ab") as log:
            self._epmd = self._run(["epmd", "-port", str(self._epmd_port)], log.fileno())
            self._node = self._run([str(PROGRAM)], log.fileno())
        deadline = time.monotonic() + START_S
        while self._node.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, amqp.AMQPError):
                self.connect().close()
                return
            time.sleep(0.1)
        tail = (self.folder / "rabbitmq.log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"RabbitMQ did not start:\n{tail}")

    def connect(self) -> amqp.Connection:
        """Return an open connection."""
        link = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=10)
        link.connect()
        return link

    def stop(self) -> None:
        """Stop it in good order; what it holds stays in its folder."""
        if self._node is not None:
            self._node.terminate()
            try:
                self._node.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._let_go()

    def kill(self) -> None:
        """End it at once, as a power cut would; the node is a child of the script we started."""
        if self._node is not None:
            script = psutil.Process(self._node.pid)
            for process in (script, *script.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._let_go()

    def _let_go(self) -> None:
        for process in (self._node, self._epmd):
            if process is not None:
                if process is self._epmd:
                    process.kill()
                process.wait()
        self._node = self._epmd = None

    def _run(self, arguments: list[str], log: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            arguments, env=self._environment(), cwd=self.folder, stdout=log, stderr=log
        )

    def _environment(self) -> Mapping[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # the Erlang cookie lies there
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"carina-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"{ONE_THREAD} -kernel inet_dist_use_interface {{127,0,0,1}}"
            ),
        }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RabbitMQ]:
    """Run one node in ``folder`` and stop it at the end."""
    node = RabbitMQ(folder)
    node.start()
    try:
        yield node
    finally:
        node.stop()
