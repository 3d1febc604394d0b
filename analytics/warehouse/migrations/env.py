"""What Alembic runs: the migrations go over the connection that `schema.migrate` opened, in its
transaction.
"""

from alembic import context

from analytics.warehouse.schema import VERSION_TABLE
from analytics.warehouse.tables import SCHEMA, Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `python -m analytics.warehouse migrate`: it takes the lock that this needs")

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, parents: name == SCHEMA if kind == "schema" else True,
)
context.run_migrations()
