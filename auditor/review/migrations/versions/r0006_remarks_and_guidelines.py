"""Comments and the flag "discuss", guidelines of the classes, settings of the reviewers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from auditor.review.schema import append_only

revision = "0006"
down_revision = "0005"

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "remarks",
        sa.Column("remark", Big, primary_key=True, autoincrement=True),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("item", Big, sa.ForeignKey("items.item"), nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("comment", sa.Text),
        sa.Column("discuss", sa.SmallInteger),
        sa.Column("client_time", sa.Double),
        sa.Column("server_time", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text),
        sa.UniqueConstraint("uuid", name="remarks_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("remarks_item", "remarks", ["item", "remark"])
    op.create_table(
        "guidelines",
        sa.Column("class_name", sa.Text, primary_key=True),
        sa.Column("version", Big, primary_key=True, autoincrement=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("exemplars", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("server_time", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text),
    )
    op.create_table(
        "preferences",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    for table in ("remarks", "guidelines"):
        for statement in append_only(table, op.get_bind().dialect.name):
            op.execute(statement)
