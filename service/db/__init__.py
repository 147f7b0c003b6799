"""The database: the way in, the tables, the migrations, the named queries."""
