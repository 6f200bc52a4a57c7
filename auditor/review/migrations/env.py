"""Alembic's entry. The connection and its transaction come from `auditor.review.database`; nothing is read here."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
# The caller holds the transaction: a migration happens whole or not at all, on SQLite too.
context.run_migrations()
