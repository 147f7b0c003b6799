"""Is it closed? Certificates that can be used, a database that keeps, a role held back."""

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dicom import tls
from dicom.errors import CertificateUnusable
from service import secure
from service.checks import Check
from service.db import migrate, roles
from service.db.engine import Database, check_durable
from service.errors import DatabaseNotDurable, DatabaseNotMigrated

if TYPE_CHECKING:
    from service.settings import Settings


def certificates(settings: "Settings") -> Check:
    """Read the files of TLS as the listener and the deliverers will."""
    name = "certificates"
    try:
        listener = secure.listener_context(settings)
        hl7 = secure.hl7_context(settings)
        tls.client_context(secure.client(settings))
    except CertificateUnusable as error:
        return Check(name, is_well=False, words=str(error))
    words = "the listener speaks TLS" if listener is not None else "the listener speaks no TLS"
    if listener is not None:
        words += f", certificates of callers: {settings.listener_tls_clients}"
    if hl7 is not None:
        words += f"; HL7 comes by TLS, certificates of senders: {settings.hl7_tls_clients}"
    return Check(name, is_well=True, words=words)


def database(settings: "Settings") -> tuple[Check, ...]:
    """Ask the database whether it keeps what it answers, and what the service's role may do."""
    name, url = "database", settings.database_url.get_secret_value()
    if not url:
        return (Check(name, is_well=False, words="CARINA_DATABASE_URL is not set"),)
    opened = Database(url, application_name="carina-check")
    try:
        check_durable(opened)
        migrate.check(opened)
        with opened.begin() as session:
            role = roles.current(session)
    except (DatabaseNotDurable, DatabaseNotMigrated) as error:
        return (Check(name, is_well=False, words=str(error)),)
    except SQLAlchemyError as error:
        return (Check(name, is_well=False, words=f"does not answer ({type(error).__name__})"),)
    finally:
        opened.dispose()
    words = "; ".join(role.faults) or "can read and add to the audit trail, and change none of it"
    return (
        Check(name, is_well=True, words="serves, keeps what it answers, at this version"),
        Check("role", is_well=not role.faults, words=words),
    )
