"""The key by which ties between entries fall, kept with each signature instead of made anew at each load."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from aggregator.cluster.signature import content_key
from aggregator.store.bulk import update_many
from aggregator.store.dialect import BIG_ID, plain_rows

revision = "0022"
down_revision = "0021"

STEP = 1000
"""Signatures read and written at once: some 2 MB, however many there are."""

WORDS = ("minhash", "title", "lead", "body", "terms")

TABLES = sa.MetaData()
ENTRY = sa.Table(
    "entry",
    TABLES,
    sa.Column("id", BIG_ID),
    sa.Column("source", sa.Text()),
    sa.Column("lang", sa.Text()),
)
SIGNATURE = sa.Table(
    "signature",
    TABLES,
    sa.Column("entry_id", BIG_ID),
    sa.Column("truncated", sa.Boolean()),
    sa.Column("content_key", BIG_ID),
    *(sa.Column(name, sa.LargeBinary()) for name in WORDS),
)


def upgrade() -> None:
    """Adds the column and fills it, in order of the entries' numbers."""
    op.add_column("signature", sa.Column("content_key", BIG_ID, server_default="0", nullable=False))
    told = (SIGNATURE.c.truncated, ENTRY.c.source, ENTRY.c.lang, *(SIGNATURE.c[name] for name in WORDS))
    query = sa.select(SIGNATURE.c.entry_id, *told).join(ENTRY, ENTRY.c.id == SIGNATURE.c.entry_id)
    query = query.order_by(SIGNATURE.c.entry_id).limit(STEP)
    db, last = op.get_bind(), 0
    # Told of both: otherwise PostgreSQL reads the entries from the first one on at each step.
    while rows := plain_rows(db, query.where(SIGNATURE.c.entry_id > last, ENTRY.c.id > last)):
        keys = [
            (number, content_key(source, lang, words, truncated=truncated))
            for number, truncated, source, lang, *words in rows
        ]
        update_many(db, SIGNATURE.c.entry_id, (SIGNATURE.c.content_key,), keys)
        last = rows[-1][0]
