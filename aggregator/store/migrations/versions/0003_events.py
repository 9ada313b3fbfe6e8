"""Signatures know terms; every decision of the clusterer is kept. Signatures are made anew from the entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.store.dialect import BIG_ID, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Puts an empty table of signatures in the place of the old one: the clusterer fills it from the entries."""
    op.drop_table("signature")
    op.create_table(
        "signature",
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("scheme", sa.Integer(), nullable=False),
        sa.Column("minhash", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.LargeBinary(), nullable=False),
        sa.Column("title_marks", sa.LargeBinary(), nullable=False),
        sa.Column("lead", sa.LargeBinary(), nullable=False),
        sa.Column("lead_marks", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("term_marks", sa.LargeBinary(), nullable=False),
        sa.Column("term_rarity", sa.LargeBinary(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_index("ix_signature_at", "signature", ["at"])
    op.create_index("ix_signature_scheme", "signature", ["scheme"])
    op.create_table(
        "decision",
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("among", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), server_default="", nullable=False),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("compared", sa.LargeBinary(), nullable=False),
        sa.Column("regroup", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    flagged = sa.text("regroup")
    op.create_index(
        "decision_regroup", "decision", ["entry_id"], sqlite_where=flagged, postgresql_where=flagged
    )
