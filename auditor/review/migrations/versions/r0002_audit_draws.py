"""Draws of the audit stream, with replacement: an item drawn twice is reviewed once and counts twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_draws",
        sa.Column("draw", Big, primary_key=True, autoincrement=False),
        sa.Column("item", Big, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
    )
