"""The process that is traced: ``python -m scripts.durability.subject STEP [SABOTAGE]``.

``listen`` is the listener as shipped. ``read`` closes the studies and reads them as a worker does,
with the stand-in network of :mod:`models.fakes`. ``seal`` seals the audit trail once.
"""

import sys
from datetime import UTC, datetime

from models.fakes import FakeEye
from scripts.durability import sabotage
from scripts.durability.sabotage import Sabotage
from service import listener, logs, studies
from service.db.engine import Database
from service.seal import Sealer
from service.settings import Settings
from workers import context
from workers.analyse_step import analyse
from workers.profiles import ProfileBook


def main() -> int:
    """Do one step of the service and return its exit code."""
    step = sys.argv[1]
    sabotage.apply(Sabotage(sys.argv[2] if len(sys.argv) > 2 else "nothing"))  # noqa: PLR2004
    settings = Settings()
    logs.configure(settings, step)
    if step == "listen":
        return listener.run(settings)
    database = Database(settings.database_url.get_secret_value())
    now = datetime.now(UTC)
    if step == "seal":
        Sealer(database, settings.audit_heads).seal_once(now)
    else:
        with database.begin() as session:
            studies.close_quiet(session, now)
        made = context.make(settings, FakeEye, lambda _: None)
        while analyse(made, ProfileBook(settings.home)):
            pass
        made.database.dispose()
    database.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
