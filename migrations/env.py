"""Alembic's entry: runs the migrations on the connection that ``service.db.migrate`` made."""

from alembic import context

from service.db.partitions import PREFIX
from service.db.withdrawal_tables import Base  # all tables: these stand on the others


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the partitions out of a comparison: the parent speaks for them."""
    return not (kind == "table" and (name or "").startswith(PREFIX))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_server_default=True,
    include_name=_is_ours,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
