"""Divide the audit trail into partitions by the number of the event, so that old ones can go.

By number and not by date: the number is the primary key and stays unique over all partitions, and
no wrong clock can ever ask for a partition that is not there. What is there already becomes the
first partition as it stands; nothing is copied.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SPAN = 500_000
AHEAD = 4
NAME = "audit_events_{first:015d}"
INDEXES = ("pk_audit_events", "ix_audit_events_study", "ix_audit_events_date_time")
COLUMNS = (
    "id, event_type, event_action_code, event_outcome_indicator, event_date_time, user_id,"
    " study_instance_uid, sop_instance_uid, job_id, duration_ms, detail"
)
PARENT = """
CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH {next}) NOT NULL,
    event_type text NOT NULL,
    event_action_code text NOT NULL,
    event_outcome_indicator integer NOT NULL,
    event_date_time timestamptz NOT NULL,
    user_id text NOT NULL,
    study_instance_uid text,
    sop_instance_uid text,
    job_id uuid,
    duration_ms double precision,
    detail jsonb NOT NULL,
    CONSTRAINT ck_audit_events_action CHECK (event_action_code IN ('C', 'R', 'U', 'D', 'E')),
    CONSTRAINT ck_audit_events_outcome CHECK (event_outcome_indicator IN (0, 4, 8, 12)),
    CONSTRAINT pk_audit_events PRIMARY KEY (id)
) {partitioned}
"""
PARENT_INDEXES = (
    "CREATE INDEX ix_audit_events_study ON audit_events (study_instance_uid, id)",
    "CREATE INDEX ix_audit_events_date_time ON audit_events (event_date_time)",
)
ARCHIVED = """
CREATE INDEX ix_audit_events_archived ON audit_events (id) WHERE event_type = 'audit_archived'
"""
TRIGGER = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION carina_append_only()
"""
# The service may call this and owns nothing: it can make the next empty partitions, and no more.
# A table is made apart and attached, which takes no lock that an insert would wait for.
MAKE = """
CREATE FUNCTION carina_make_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    span CONSTANT bigint := SPAN;
    ends bigint;
    newest bigint;
    made integer := 0;
    part text;
BEGIN
    SELECT max(CAST(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''(\\d+)''\\)')
           AS bigint))
      INTO ends
      FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'public.audit_events'::regclass;
    newest := coalesce(pg_sequence_last_value(
        pg_get_serial_sequence('public.audit_events', 'id')::regclass), 0);
    ends := coalesce(ends, newest / span * span);
    WHILE ends <= newest + AHEAD * span LOOP
        part := 'audit_events_' || lpad(ends::text, 15, '0');
        EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_events INCLUDING ALL'
            ' EXCLUDING IDENTITY)', part);
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION public.carina_append_only()',
            part || '_append_only', part);
        EXECUTE format('ALTER TABLE public.audit_events ATTACH PARTITION public.%I'
            ' FOR VALUES FROM (%L) TO (%L)', part, ends, ends + span);
        ends := ends + span;
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$
"""


def upgrade() -> None:
    """Make what is there the first partition, and the next ones ahead."""
    op.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
    newest = _newest()
    ends = (newest // SPAN + 1) * SPAN
    first = NAME.format(first=0)
    op.execute("ALTER TABLE audit_events ALTER COLUMN id DROP IDENTITY")
    op.execute(f"ALTER TABLE audit_events RENAME TO {first}")
    op.execute(f"ALTER TRIGGER audit_events_append_only ON {first} RENAME TO {first}_append_only")
    for index in INDEXES:
        op.execute(f"ALTER INDEX {index} RENAME TO {index}_{0:015d}")
    partitioned = "PARTITION BY RANGE (id)"
    op.execute(PARENT.format(next=newest + 1, partitioned=partitioned))
    for statement in PARENT_INDEXES:
        op.execute(statement)
    op.execute(ARCHIVED)
    op.execute(TRIGGER.format(table="audit_events"))
    op.execute(
        f"ALTER TABLE audit_events ATTACH PARTITION {first}"
        f" FOR VALUES FROM (MINVALUE) TO ('{ends}')"
    )
    op.execute(MAKE.replace("SPAN", str(SPAN)).replace("AHEAD", str(AHEAD)))
    op.execute("REVOKE ALL ON FUNCTION carina_make_partitions() FROM PUBLIC")
    op.execute("SELECT carina_make_partitions()")


def downgrade() -> None:
    """Bring every event that is still attached back into one table; archived ones stay away."""
    op.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
    newest = _newest()
    op.execute("DROP FUNCTION carina_make_partitions()")
    op.execute("ALTER TABLE audit_events RENAME TO audit_events_partitioned")
    for name in INDEXES:
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_partitioned")
    op.execute("ALTER SEQUENCE audit_events_id_seq RENAME TO audit_events_partitioned_id_seq")
    op.execute(PARENT.format(next=newest + 1, partitioned=""))
    op.execute(
        f"INSERT INTO audit_events ({COLUMNS}) OVERRIDING SYSTEM VALUE"  # noqa: S608
        f" SELECT {COLUMNS} FROM audit_events_partitioned ORDER BY id"
    )
    for statement in PARENT_INDEXES:
        op.execute(statement)
    op.execute("DROP TABLE audit_events_partitioned")
    op.execute(TRIGGER.format(table="audit_events"))


def _newest() -> int:
    """Return the highest number that was ever given to an event."""
    found = op.get_bind().execute(
        sa.text(
            "SELECT greatest((SELECT coalesce(max(id), 0) FROM audit_events),"
            " coalesce(pg_sequence_last_value("
            "pg_get_serial_sequence('audit_events', 'id')::regclass), 0))"
        )
    )
    return int(found.scalar_one())
