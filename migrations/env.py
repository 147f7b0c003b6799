"""Alembic's entry: runs the migrations on the connection that ``service.db.migrate`` made."""

from alembic import context

from service.db.withdrawal_tables import Base  # all tables: these stand on the others

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_server_default=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
