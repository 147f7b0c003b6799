"""The processes that an operator runs one by one in production; ``carina up`` runs the same."""

import sys

import structlog

from service import logs, ready, settings_unknown, tracing
from service.errors import SettingsInvalid
from service.settings import Settings, load

log = structlog.get_logger(__name__)


def listen() -> None:
    """Run the DICOM listener until SIGTERM."""
    from service import listener  # noqa: PLC0415  (pynetdicom only where it is used)
    from service.pulse import Pulse  # noqa: PLC0415

    settings = _begin("listen")
    with Pulse(settings, "listen"):
        code = listener.run(settings)
    log.info("process_ended")
    sys.exit(code)


def sweep() -> None:
    """Run the sweep until SIGTERM: close studies, ring again, seal the audit trail."""
    from service import sweep as sweeping  # noqa: PLC0415
    from service.db import migrate  # noqa: PLC0415
    from service.db.engine import Database, check_durable  # noqa: PLC0415
    from service.listener import stop_on_signals  # noqa: PLC0415
    from service.pulse import Pulse  # noqa: PLC0415

    settings = _begin("sweep")
    stop = stop_on_signals()
    database = Database(settings.database_url.get_secret_value(), application_name="carina-sweep")
    check_durable(database)
    migrate.check(database, "sweep")
    ready.announce()
    with Pulse(settings, "sweep"):
        sweeping.run_forever(database, settings, stop)
    database.dispose()
    log.info("process_ended")


def hl7() -> None:
    """Listen for HL7 v2 messages about patients until SIGTERM."""
    from service.adt import server  # noqa: PLC0415
    from service.db import migrate  # noqa: PLC0415
    from service.db.engine import Database, check_durable  # noqa: PLC0415
    from service.listener import stop_on_signals  # noqa: PLC0415
    from service.pulse import Pulse  # noqa: PLC0415

    settings = _begin("hl7")
    if not settings.hl7_port:
        raise SettingsInvalid(["CARINA_HL7_PORT: not set: there is nothing to listen on"])
    stop = stop_on_signals()
    database = Database(settings.database_url.get_secret_value(), application_name="carina-hl7")
    check_durable(database)
    migrate.check(database, "hl7")
    with Pulse(settings, "hl7"):
        server.run(settings, database, stop)
    database.dispose()
    log.info("process_ended")


def web() -> None:
    """Serve health, counts and metrics on the loopback until SIGTERM."""
    from service import web as serving  # noqa: PLC0415
    from service.pulse import Pulse  # noqa: PLC0415

    settings = _begin("web")
    with Pulse(settings, "web"):
        serving.run(settings)
    log.info("process_ended")


def db_upgrade() -> None:
    """Bring the tables to this version, as the role that owns them; harmless when they are."""
    from service.db import migrate  # noqa: PLC0415

    settings = load()
    service_url = settings.database_url.get_secret_value()
    owner_url = settings.database_owner_url.get_secret_value() or service_url
    migrate.upgrade(owner_url, service_url)
    logs.configure(settings, "db-upgrade")
    log.info("tables_upgraded", revision=migrate.head())


def _begin(process: str) -> Settings:
    settings = load()
    logs.configure(settings, process)
    tracing.configure(settings, process)
    log.info("process_started")
    settings_unknown.warn()
    return settings
