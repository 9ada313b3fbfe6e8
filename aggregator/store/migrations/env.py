"""Alembic's entry: runs the migrations on the connection that the program hands over."""

from alembic import context

from aggregator.store.tables import Row

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Row.metadata, transactional_ddl=True)
context.run_migrations()
